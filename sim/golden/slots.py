"""Slots as the golden model holds them: records, and what a store does to one."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Protocol

from hls.spec.slots import EMPTY, F_MAX, F_MIN, HISTORY

_RECORD = struct.Struct(f"<iiiI{HISTORY}b")
RECORD_BYTES = _RECORD.size


@dataclass(frozen=True)
class Slot:
    """Fraction, statistics and history of one tensor (hls.spec.slots)."""

    f: int = 0
    f_previous: int = 0
    peak: int = EMPTY
    saturations: int = 0
    history: tuple[int, ...] = (EMPTY,) * HISTORY


class SlotChange(Protocol):
    """What an op does to a slot."""

    def applied_to(self, slot: Slot) -> Slot:
        """The slot afterwards."""


@dataclass(frozen=True)
class Statistics:
    """What stores saw: the peak (`EMPTY` when nothing but zeros) and the number of values out of range."""

    peak: int = EMPTY
    saturations: int = 0

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(max(self.peak, other.peak), self.saturations + other.saturations)

    def applied_to(self, slot: Slot) -> Slot:
        """The slot with this entered."""
        saturations = (slot.saturations + self.saturations) & 0xFFFFFFFF
        return replace(slot, peak=max(slot.peak, self.peak), saturations=saturations)


def unpack(data: bytes) -> list[Slot]:
    """Slots from their records; fractions and peaks are clamped to the range that the hardware holds."""
    return [
        Slot(_clamped_fraction(f), _clamped_fraction(previous), max(EMPTY, min(127, peak)), saturations, tuple(history))
        for f, previous, peak, saturations, *history in _RECORD.iter_unpack(data)
    ]


def pack(slots: list[Slot]) -> bytes:
    """Records of slots."""
    return b"".join(_RECORD.pack(s.f, s.f_previous, s.peak, s.saturations, *s.history) for s in slots)


def _clamped_fraction(f: int) -> int:
    return max(F_MIN, min(F_MAX, f))
