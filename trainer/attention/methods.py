"""Attention-level methods: how the connections of the blocks behind a selector are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from trainer.attention.connections import Connections, Probabilities
from trainer.attention.dense import ALL_KEYS
from trainer.attention.selected import SelectedKeys
from trainer.selection import select_keys


class AttentionMethod(Protocol):
    """What a selector asks of an attention-level method."""

    name: ClassVar[str]

    def connect(
        self,
        probabilities: Probabilities,
        kept: Tensor,
        key_count: int | None,
        forced_keys: Tensor | None,
        prefix: int,
        extra: int,
    ) -> tuple[Connections, Tensor | None]:
        """Connections of the tokens that leave a selector, and the keys [B, K, k] where a list of them was made.

        Arguments:
            probabilities: of the block that the selector reads.
            kept: surviving patches [B, K].
            key_count: patch keys a query; None: all.
            forced_keys: keys to use instead of choosing any.
            prefix: class tokens in front, which all attend to and which attend to all.
            extra: fused tokens behind the patches, treated like class tokens.
        """


@dataclass(frozen=True)
class SelectedAttention:
    """The paper's: each surviving query keeps the keys of its largest head-mean probabilities.

    `way` is that of `trainer.attention.selected.SelectedKeys`.
    """

    name: ClassVar[str] = "selected"
    way: str = "auto"

    def connect(
        self,
        probabilities: Probabilities,
        kept: Tensor,
        key_count: int | None,
        forced_keys: Tensor | None,
        prefix: int,
        extra: int,
    ) -> tuple[Connections, Tensor | None]:
        """See `AttentionMethod`."""
        if forced_keys is None and key_count is None:
            return ALL_KEYS, None
        keys = forced_keys
        if keys is None:
            assert key_count is not None
            keys = select_keys(probabilities.rows(kept + prefix)[:, :, prefix:], kept, key_count)
        return SelectedKeys(keys, extra, self.way), keys
