"""How much is kept: what a training step or an evaluation asks of the selectors of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from host.errors import PeelVitError
from host.schedules import check_ratio, kept_count, keys_per_query


@dataclass(frozen=True)
class Choice:
    """What one selector keeps: counts, or the indices that it is forced to keep.

    `token_count` patches survive and each attends to `key_count` of them (None: all). `kept` [B, K] and `keys`
    [B, K, k] replace the counts.
    """

    token_count: int
    key_count: int | None
    kept: Tensor | None = None
    keys: Tensor | None = None


class KeepSetting(Protocol):
    """Anything that tells the selector `number` (from 0), which `patches` tokens enter, what to keep."""

    @property
    def chooses_keys(self) -> bool:
        """Whether selectors have to look for keys, so that they read whole attention maps."""

    def choice(self, number: int, patches: int) -> Choice | None:
        """None: this selector has nothing to do."""

    def check(self, selectors: int) -> None:
        """Raise `PeelVitError` when the setting does not fit a model of so many selectors."""


@dataclass(frozen=True)
class Keep:
    """Ratios: of the tokens that a selector keeps, ceil(N * r), and of the keys that a query keeps, ceil(K * r)."""

    tokens: float = 1.0
    attention: float = 1.0

    def __post_init__(self) -> None:
        check_ratio(self.tokens, "token keep ratio")
        check_ratio(self.attention, "attention keep ratio")

    @property
    def is_dense(self) -> bool:
        """Whether nothing is to be removed."""
        return self.tokens == 1.0 and self.attention == 1.0

    @property
    def chooses_keys(self) -> bool:
        """See `KeepSetting`."""
        return self.attention < 1.0

    def choice(self, number: int, patches: int) -> Choice | None:
        """See `KeepSetting`."""
        if self.is_dense:
            return None
        count = kept_count(patches, self.tokens)
        keys = keys_per_query(count, self.attention)
        return Choice(count, None if keys == count else keys)

    def check(self, selectors: int) -> None:
        """See `KeepSetting`."""
        if not selectors and not self.is_dense:
            raise PeelVitError(
                f"the model has no selector that could keep {self.tokens} of the tokens and {self.attention} of the "
                "attention; name a block that it has with select_before"
            )


DENSE = Keep()


@dataclass(frozen=True)
class Counts:
    """Patch tokens, and patch keys a query (None: all), that each selector keeps."""

    tokens: Sequence[int]
    keys: Sequence[int | None] | None = None

    @property
    def chooses_keys(self) -> bool:
        """See `KeepSetting`."""
        return self.keys is not None

    def choice(self, number: int, patches: int) -> Choice | None:
        """See `KeepSetting`."""
        return Choice(self.tokens[number], self.keys[number] if self.keys is not None else None)

    def check(self, selectors: int) -> None:
        """See `KeepSetting`."""
        _check_lengths(selectors, {"token counts": self.tokens, "key counts": self.keys})


@dataclass(frozen=True)
class Forced:
    """The indices themselves, to compare with another executor on equal selections."""

    kept: Sequence[Tensor]
    keys: Sequence[Tensor | None] | None = None

    @property
    def chooses_keys(self) -> bool:
        """See `KeepSetting`."""
        return False

    def choice(self, number: int, patches: int) -> Choice | None:
        """See `KeepSetting`."""
        kept, keys = self.kept[number], self.keys[number] if self.keys is not None else None
        return Choice(kept.shape[1], None if keys is None else keys.shape[2], kept, keys)

    def check(self, selectors: int) -> None:
        """See `KeepSetting`."""
        _check_lengths(selectors, {"kept indices": self.kept, "key indices": self.keys})


def _check_lengths(selectors: int, columns: dict[str, Sequence[object] | None]) -> None:
    for name, column in columns.items():
        if column is not None and len(column) != selectors:
            raise PeelVitError(f"{len(column)} {name} do not fit {selectors} selectors; give one for each selector")
