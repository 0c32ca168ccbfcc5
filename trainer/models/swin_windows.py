"""How a grid of tokens falls into windows.

Shapes: B images, L = height * width tokens, W windows, A = window * window slots a window, D dimension.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

OTHER_REGION = -100.0
"""Added to the scores between tokens that only the cyclic shift brought together."""


@dataclass(frozen=True)
class Partition:
    """A grid in square windows, after it was rolled up and left by `shift` tokens.

    A grid that the windows do not divide is padded at the bottom and at the right once it is rolled, as in timm: the
    padding takes part in attention as zero vectors behind the first LayerNorm.
    """

    height: int
    width: int
    window: int
    shift: int

    @property
    def tokens(self) -> int:
        """L."""
        return self.height * self.width

    @property
    def slots(self) -> int:
        """A."""
        return self.window**2

    @property
    def rows(self) -> int:
        """Windows from top to bottom."""
        return -(-self.height // self.window)

    @property
    def columns(self) -> int:
        """Windows from left to right."""
        return -(-self.width // self.window)

    @property
    def is_padded(self) -> bool:
        """Whether some slots hold no token."""
        return self.rows * self.columns * self.slots != self.tokens

    def computed(self, count: int) -> int:
        """Tokens in all windows together when each computes `count` slots, those with padding last."""
        heights = [min(self.window, self.height - row * self.window) for row in range(self.rows)]
        widths = [min(self.window, self.width - column * self.window) for column in range(self.columns)]
        return sum(min(count, height * width) for height in heights for width in widths)

    def split(self, x_BHWD: Tensor) -> Tensor:
        """The windows' slots, [B, W, A, D]."""
        if self.shift:
            x_BHWD = x_BHWD.roll((-self.shift, -self.shift), (1, 2))
        if self.is_padded:
            below, right = self.rows * self.window - self.height, self.columns * self.window - self.width
            x_BHWD = functional.pad(x_BHWD, (0, 0, 0, right, 0, below))
        x = x_BHWD.unflatten(2, (self.columns, self.window)).unflatten(1, (self.rows, self.window))
        return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)

    def join(self, x_BWAD: Tensor) -> Tensor:
        """The grid [B, height, width, D] of windows from `split`."""
        x = x_BWAD.unflatten(2, (self.window, self.window)).unflatten(1, (self.rows, self.columns))
        x = x.transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, : self.height, : self.width]
        return x.roll((self.shift, self.shift), (1, 2)) if self.shift else x

    def cells(self) -> Tensor:
        """Which token of the grid, counted row by row, is in each slot: int64 [W, A]; L where there is only padding."""
        numbers = torch.arange(1, self.tokens + 1).view(1, self.height, self.width, 1)
        found = self.split(numbers)[0, :, :, 0]  # padding is 0
        return torch.where(found == 0, self.tokens, found - 1)

    def region_mask(self) -> Tensor:
        """What to add to attention scores so that the image does not wrap around, [W, A, A]; zeros without shift."""
        down, right = self._regions(self.rows), self._regions(self.columns)
        whole = Partition(len(down), len(right), self.window, 0)
        regions = whole.split((3 * down[:, None] + right).view(1, len(down), len(right), 1))[0, :, :, 0]
        return OTHER_REGION * (regions[:, :, None] != regions[:, None, :]).float()

    def _regions(self, windows: int) -> Tensor:
        """Along one axis: 0 before the last window, 1 in its part that belongs there, 2 in what was rolled into it."""
        position = torch.arange(windows * self.window)
        last, rolled = position >= (windows - 1) * self.window, position >= windows * self.window - self.shift
        return last.long() + rolled.long()


def relative_positions(window: int) -> Tensor:
    """Row of the position table for each pair (query slot, key slot) of a window, int64 [A, A].

    The table lists offsets from (1 - window, 1 - window) to (window - 1, window - 1), row by row.
    """
    position = torch.arange(window)
    row, column = position.repeat_interleave(window), position.repeat(window)
    offset = window - 1
    return (row[:, None] - row + offset) * (2 * window - 1) + column[:, None] - column + offset
