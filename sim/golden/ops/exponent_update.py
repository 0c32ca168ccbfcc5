"""exponent_update: new fractions from the peaks of the last optimizer steps."""

from __future__ import annotations

from dataclasses import replace

from hls.spec.slots import EMPTY, updated_fraction
from sim.golden.slots import Slot


def exponent_update(table: list[Slot], *, first: int, count: int, bits: int, margin: int) -> list[Slot]:
    """The slot table after the peaks of slots `first` ... `first + count - 1` have entered their histories."""
    updated = [_updated(slot, bits, margin) for slot in table[first : first + count]]
    return table[:first] + updated + table[first + count :]


def _updated(slot: Slot, bits: int, margin: int) -> Slot:
    if slot.peak == EMPTY:
        return replace(slot, f_previous=slot.f)
    history = (slot.peak, *slot.history[:-1])
    return replace(
        slot, f=updated_fraction(list(history), bits, margin), f_previous=slot.f, peak=EMPTY, history=history
    )
