"""What the weight updates share: rescaling of master weights, and what becomes of the weight's slot."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor, stack

from hls.spec.formats import MASTER_MAX, MASTER_MIN, MASTER_SHIFT
from hls.spec.slots import EMPTY, F_MIN, RESCALE_PEAK
from sim.golden.fixed import Results, Stored, round_shift
from sim.golden.slots import Slot


@dataclass(frozen=True)
class Renewal:
    """What an update does to the weight's slot: fraction and peak are set, saturations are added."""

    f: int
    peak: int
    saturations: int
    is_later_part: bool = False

    @classmethod
    def of(cls, master: Tensor, f: int, saturations: int, is_later_part: bool = False) -> Renewal:
        """That of the new master weights (int64), whose int16 copy has the fraction `f`."""
        low, high = (int(bound) for bound in master.aminmax())
        return cls(f, max(high, ~low).bit_length() or EMPTY, saturations, is_later_part)

    def applied_to(self, slot: Slot) -> Slot:
        """The slot afterwards; a later part adds to what the parts before it entered."""
        saturations = (slot.saturations + self.saturations) & 0xFFFFFFFF
        if self.is_later_part:
            return replace(slot, peak=max(slot.peak, self.peak), saturations=saturations)
        return replace(slot, f=self.f, f_previous=slot.f, peak=self.peak, saturations=saturations)


def master_of(weight: Tensor, state: Tensor) -> Tensor:
    """Master weights (int64 [rows, n], wrapped to 32 bits) of their rounded halves (int16 [rows, n]) and what rounding
    left of them, the first of `state` (int32 [rows, 2, n])."""
    return ((weight.int() << MASTER_SHIFT) + state[:, 0]).long()


def limited(master: Tensor) -> Tensor:
    """The nearest values that a master weight can have (int64 of any shape)."""
    return master.clamp(MASTER_MIN, MASTER_MAX)


def halves(master: Tensor, state: Tensor, renewal: Renewal) -> Results:
    """The operands `state` [rows, 2, n] and `weight` [rows, n] of new master weights and states (int64 [rows, n])."""
    weight = round_shift(master, MASTER_SHIFT)
    low = master - (weight << MASTER_SHIFT)
    return {"state": Stored(stack((low, state), 1).int()), "weight": Stored(weight.short(), (renewal,))}


def rescaled(master: Tensor, slot: Slot, is_later_part: bool = False) -> tuple[Tensor, int]:
    """Master weights (int64), halved where they have grown too large, and the fraction of their int16 copy.

    The first part of a tensor decides for all: later ones see by the slot's fractions what it did.
    """
    if is_later_part:
        return (round_shift(master, 1) if slot.f != slot.f_previous else master), slot.f
    return (round_shift(master, 1), max(F_MIN, slot.f - 1)) if slot.peak >= RESCALE_PEAK else (master, slot.f)


def clamped_shift(shift: int) -> int:
    """A hyperparameter's shift as the hardware takes it."""
    return max(-64, min(64, shift))
