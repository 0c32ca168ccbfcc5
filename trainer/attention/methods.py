"""Attention-level methods: how the connections of the blocks behind a selector are chosen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from host.errors import PeelVitError
from trainer.attention.connections import Connections, Probabilities
from trainer.attention.dense import ALL_KEYS
from trainer.attention.selected import SelectedKeys
from trainer.selection import select_keys


@dataclass(frozen=True)
class Survivors:
    """The tokens that leave a selector, whose connections are to be chosen.

    Attributes:
        kept: surviving patches [B, K], counted in those that entered.
        key_count: patch keys a query; None: all.
        keys: keys [B, K, k] to use instead of choosing any.
        prefix: class tokens in front, which all attend to and which attend to all.
        extra: fused tokens behind the patches, treated like class tokens.
    """

    kept: Tensor
    key_count: int | None = None
    keys: Tensor | None = None
    prefix: int = 1
    extra: int = 0


class AttentionMethod(ABC):
    """Chooses the connections of all blocks up to the next selector."""

    name: ClassVar[str]

    def connect(self, probabilities: Probabilities, survivors: Survivors) -> tuple[Connections, Tensor | None]:
        """Connections of the survivors, and the keys [B, K, k] where a list of them was made.

        `probabilities` are those of the block that the selector reads. Raises `PeelVitError` for keys from outside that
        the method cannot use.
        """
        if survivors.keys is not None:
            return self.use(survivors.keys, survivors), survivors.keys
        if survivors.key_count is None:
            return ALL_KEYS, None
        return self.choose(probabilities, survivors, survivors.key_count)

    @abstractmethod
    def choose(
        self, probabilities: Probabilities, survivors: Survivors, count: int
    ) -> tuple[Connections, Tensor | None]:
        """`count` patch keys for each surviving patch; the result is that of `connect`."""

    def use(self, keys: Tensor, survivors: Survivors) -> Connections:
        """Connections by the list `keys` [B, K, k], where the method goes by lists at all."""
        raise PeelVitError(f"{self.name} attention takes no keys from outside; use the attention method selected")


@dataclass(frozen=True)
class SelectedAttention(AttentionMethod):
    """The paper's: each surviving query keeps the keys of its largest head-mean probabilities.

    `way` is that of `trainer.attention.selected.SelectedKeys`.
    """

    name: ClassVar[str] = "selected"
    way: str = "auto"

    def choose(
        self, probabilities: Probabilities, survivors: Survivors, count: int
    ) -> tuple[Connections, Tensor | None]:
        """See `AttentionMethod`."""
        kept, prefix = survivors.kept, survivors.prefix
        keys = select_keys(probabilities.rows(kept + prefix)[:, :, prefix:], kept, count)
        return self.use(keys, survivors), keys

    def use(self, keys: Tensor, survivors: Survivors) -> Connections:
        """See `AttentionMethod`."""
        return SelectedKeys(keys, survivors.extra, self.way)
