"""Slots on the host: which tensor has which, and the slot table in memory as a numpy array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls.spec.formats import WORD_BYTES
from hls.spec.slots import EMPTY, HISTORY, RECORD_WORDS
from host.errors import PeelVitError
from host.tensors import Group, Tensor

RECORD = np.dtype(
    [("f", "<i4"), ("f_previous", "<i4"), ("peak", "<i4"), ("saturations", "<u4"), ("history", "i1", (HISTORY,))]
)
"""One slot as `hls.spec.slots` lays it out."""
assert RECORD.itemsize == RECORD_WORDS * WORD_BYTES

SlotTable = NDArray[np.void]
"""Array of `RECORD`, one a slot."""

INPUT_FRACTION = 12
"""Fraction of the normalised pixels, which stay within +-8; never updated."""

_ORDER = (Group.ACTIVATION, Group.GRADIENT, Group.WEIGHT_GRADIENT, Group.WEIGHT, Group.INPUT)
_INITIAL = {Group.ACTIVATION: 8, Group.GRADIENT: 18, Group.WEIGHT_GRADIENT: 24, Group.INPUT: INPUT_FRACTION}
_MAGNITUDE_BITS = {Group.ACTIVATION: 15, Group.GRADIENT: 15, Group.WEIGHT_GRADIENT: 31}
MARGIN = 1
"""Bits kept free above the largest value of the last steps."""


@dataclass(frozen=True)
class SlotRange:
    """Neighbouring slots of one kind; `bits` is the width of their magnitudes."""

    first: int
    count: int
    bits: int

    @property
    def slice(self) -> slice:
        """Its part of the slot table."""
        return slice(self.first, self.first + self.count)


@dataclass(frozen=True)
class Slots:
    """First slot of every tensor that has one, and the slots of each kind of tensor."""

    first: dict[str, int]
    groups: dict[Group, range]

    @property
    def count(self) -> int:
        """Slots in all."""
        return sum(map(len, self.groups.values()))

    @property
    def updated(self) -> dict[Group, SlotRange]:
        """The slots whose fractions follow the values, by kind."""
        return {
            group: SlotRange(self.groups[group].start, len(self.groups[group]), bits)
            for group, bits in _MAGNITUDE_BITS.items()
            if self.groups[group]
        }

    def initial_table(self) -> SlotTable:
        """A table before calibration: nothing seen, fractions at which the first run shows every peak."""
        table = np.zeros(self.count, RECORD)
        for group, fraction in _INITIAL.items():
            where = self.groups[group]
            table["f"][where.start : where.stop] = fraction
        table["f_previous"] = table["f"]
        table["peak"] = EMPTY
        table["history"] = EMPTY
        return table


def allocate_slots(tensors: Sequence[Tensor], limit: int) -> Slots:
    """Slots for all tensors, each kind in one contiguous range; `PeelVitError` above `limit` slots."""
    first: dict[str, int] = {}
    groups: dict[Group, range] = {}
    used = 0
    for group in _ORDER:
        start = used
        for tensor in tensors:
            if tensor.group is group and tensor.slots.value:
                first[tensor.name] = used
                used += tensor.slots.value
        groups[group] = range(start, used)
    if used > limit:
        raise PeelVitError(
            f"the model needs {used} slots but the hardware configuration has {limit}; "
            "use a shallower model or a configuration with more slots"
        )
    for tensor in tensors:
        if tensor.slot_of is not None:
            first[tensor.name] = first[tensor.slot_of]
    return Slots(first, groups)


def as_words(table: SlotTable) -> NDArray[np.int32]:
    """The table as the int32 array that is written to memory."""
    return np.ascontiguousarray(table).view(np.int32)


def from_words(words: NDArray[Any]) -> SlotTable:
    """The table from int32 words read from memory."""
    return np.ascontiguousarray(words, np.int32).reshape(-1).view(RECORD)
