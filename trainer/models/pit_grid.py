"""The whole grid of a PiT stage while a token method takes tokens out of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from trainer.attention.connections import Connections, Probabilities
from trainer.attention.dense import ALL_KEYS
from trainer.record import SILENT, Recorder
from trainer.tokens.method import Block, ForwardState


class StageGrid:
    """Remembers each pruned token as it was when it was pruned, so that pooling finds a whole grid.

    PiT pools by a convolution over neighbours: every place of the grid must hold something. Zeros would be a value that
    the convolution never saw in dense training; the token's last value is what it would still be if the skipped blocks
    had nothing to add to it, which is why it was pruned.

    It watches what goes in and out of the blocks, so that it works for every method that only removes tokens.

    Arguments:
        x: class token and all patches of the stage [B, 1 + N, D].
        state: where the method writes the patches it kept.
    """

    def __init__(self, x: Tensor, state: ForwardState) -> None:
        self._state = state
        self._last = x
        self._values: Tensor | None = None  # [B, N, D] once a token was pruned
        self._places: Tensor | None = None  # of the tokens that are left, [B, K]

    def watched(self, blocks: Iterable[Any]) -> list[WatchedBlock]:
        """The same blocks (a ModuleList does not say that they are), telling this grid what passes through them."""
        return [WatchedBlock(block, self) for block in blocks]

    def enter(self, x: Tensor) -> None:
        """`x` [B, 1 + K, D] goes into one half of a block; fewer tokens than came out of the last one were pruned."""
        if x.shape[1] == self._last.shape[1]:
            return
        self._values = self.whole(self._last)
        kept = self._state.kept[-1]
        self._places = kept if self._places is None else self._places.gather(1, kept)

    def leave(self, x: Tensor) -> None:
        """`x` came out of one half of a block."""
        self._last = x

    def whole(self, x: Tensor) -> Tensor:
        """All patches [B, N, D]: those of `x` [B, 1 + K, D], and the pruned ones as they were."""
        patches = x[:, self._state.prefix :]
        if self._values is None or self._places is None:
            return patches
        rows = self._places[:, :, None].expand(-1, -1, patches.shape[2])
        return self._values.scatter(1, rows, patches.to(self._values.dtype))


class WatchedBlock:
    """A block that shows a `StageGrid` what passes through it."""

    def __init__(self, block: Block, grid: StageGrid) -> None:
        self.block, self.grid = block, grid

    def attend(
        self, x: Tensor, connections: Connections = ALL_KEYS, record: Recorder = SILENT
    ) -> tuple[Tensor, Probabilities]:
        """See `trainer.tokens.method.Block`."""
        self.grid.enter(x)
        x, probabilities = self.block.attend(x, connections, record)
        self.grid.leave(x)
        return x, probabilities

    def feed_forward(self, x: Tensor, record: Recorder = SILENT) -> Tensor:
        """See `trainer.tokens.method.Block`."""
        self.grid.enter(x)
        x = self.block.feed_forward(x, record)
        self.grid.leave(x)
        return x
