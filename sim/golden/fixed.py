"""Rounding, saturation, exact products and stores on int64 tensors: `hls.spec.formats` in torch.

Values are int64 and wrap there, as the hardware's wide words do. A shift is an int, or a tensor that broadcasts against
the values. All functions run on any device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hls.spec.formats import MAX_ALIGN, limit, reference_fraction
from hls.spec.slots import EMPTY
from sim.golden.slots import SlotChange, Statistics

Shift = int | Tensor
_NOTHING = -(1 << 20)
"""Below every peak."""


def round_shift(value: Tensor, shift: Shift) -> Tensor:
    """`value * 2**-shift`, rounded half up; left shifts are cut to 31, right shifts above 62 give 0."""
    if isinstance(shift, Tensor):
        right = shift.clamp(1, 62)
        rounded = (value >> (right - 1)).add_(1).bitwise_right_shift_(1)
        if torch.equal(shift, right):  # as a rule; it spares the slow `where`
            return rounded
        left = value << (-shift).clamp(0, MAX_ALIGN)
        return torch.where(shift > 62, 0, torch.where(shift > 0, rounded, left))
    if shift > 62:
        return torch.zeros_like(value)
    if shift > 0:
        return (value >> (shift - 1)).add_(1).bitwise_right_shift_(1)  # the half added late cannot wrap
    return value << min(-shift, MAX_ALIGN) if shift else value


def align(value: Tensor, fraction: Shift, to: Shift) -> Tensor:
    """`value`, brought from one fraction to another; any integer type, the result is int64."""
    return round_shift(value.long(), fraction - to)


def saturate(value: Tensor, bits: int) -> Tensor:
    """`value`, clamped to the symmetric range of `bits`-wide mantissas."""
    return value.clamp(-limit(bits), limit(bits))


def _unsaturated(value: Tensor, shift: Shift, bits: int) -> Tensor:
    """Rounded by `shift`, and beyond the range of `bits` exactly where the result does not fit."""
    if bool((shift > 0).all()) if isinstance(shift, Tensor) else shift > 0:
        return round_shift(value, shift)
    # Cut to `bits - 1`, a left shift takes nothing but 0 into the range and cannot wrap.
    bound, longest = 1 << (bits - 1), bits - 1
    held = value.clamp(-bound, bound)
    if not isinstance(shift, Tensor):
        return held << min(-shift, longest)
    return torch.where(shift > 0, round_shift(value, shift), held << (-shift).clamp(0, longest))


def requantise(value: Tensor, shift: Shift, bits: int = 16) -> Tensor:
    """`value`, rounded by `shift` and saturated to `bits`."""
    return saturate(_unsaturated(value, shift, bits), bits)


def bit_length(value: Tensor) -> Tensor:
    """Bits of the magnitude ``value ^ sign``, elementwise."""
    rest = value ^ (value >> 63)
    length = torch.zeros_like(rest)
    for step in (32, 16, 8, 4, 2, 1):
        high = rest >> step
        length += (high > 0) * step
        rest = torch.where(high > 0, high, rest)
    return length + rest


def exact_matmul(a: Tensor, b: Tensor) -> Tensor:
    """int64 product of matrices of mantissas, exact: through float64, so sums must stay below 2**53."""
    return (a.double() @ b.double()).long()


def join(parts: Sequence[tuple[Tensor, int]]) -> tuple[Tensor, int]:
    """The sum of tensors of different fractions, and its fraction (`reference_fraction`)."""
    fraction = reference_fraction([f for _, f in parts])
    total, *rest = (round_shift(value, f - fraction) for value, f in parts)
    for value in rest:
        total = total + value
    return total, fraction


@dataclass(frozen=True)
class Stored:
    """A result: its mantissas (None for a value inside an op) and what happens to its slots, one entry a slot.

    `columns` says how many columns of each row are written, where rows are of different length.
    """

    values: Tensor | None
    slots: tuple[SlotChange, ...] = ()
    columns: list[int] | None = None


Results = dict[str, Stored]
"""Results of an op by operand name."""


def store(acc: Tensor, fraction: Shift, f: int, bits: int = 16) -> tuple[Tensor, Statistics]:
    """Mantissas at fraction `f` (int16 or int32) from int64 accumulators at `fraction`, and their statistics.

    A fraction a row is a tensor with a last dimension of 1.
    """
    mantissa = torch.int16 if bits == 16 else torch.int32
    if acc.numel() == 0:
        return acc.to(mantissa), Statistics()
    shift = fraction - f
    rounded = _unsaturated(acc, shift, bits)
    # Rounding is monotone: the extremes show the peak, and whether a whole pass over the elements can be spared.
    if isinstance(fraction, Tensor):
        extremes = torch.stack([acc.amin(-1, keepdim=True), acc.amax(-1, keepdim=True)])
    else:
        extremes = torch.stack(acc.aminmax())
    peak, largest = torch.stack([_peak(extremes, fraction), _unsaturated(extremes, shift, bits).abs().amax()]).tolist()
    saturations = 0
    if largest > limit(bits):
        kept = saturate(rounded, bits)
        outside = kept != rounded
        saturations = int(outside.sum())
        rounded = kept
    return rounded.to(mantissa), Statistics(max(-127, min(127, peak)) if peak > _NOTHING else EMPTY, saturations)


def _peak(extremes: Tensor, fraction: Shift) -> Tensor:
    """Largest bit length above its fraction; `_NOTHING` where all magnitudes are zero."""
    length = bit_length(extremes)
    return torch.where(length > 0, length - fraction, _NOTHING).amax()
