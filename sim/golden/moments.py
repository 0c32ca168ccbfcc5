"""Codes of AdamW's moments as int64 tensors: `decode_moment`, `encode_moment` and `blend` of `hls.spec.formats`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hls.spec.formats import MOMENT_GUARD, MOMENT_SIGNIFICAND_BITS, SHARE_BITS
from sim.golden.fixed import bit_length, round_shift

_HIDDEN = 1 << (MOMENT_SIGNIFICAND_BITS - 1)
_LIFT = 16 - MOMENT_SIGNIFICAND_BITS


@dataclass(frozen=True)
class Scaled:
    """Numbers ``value * 2**exponent``."""

    value: Tensor
    exponent: Tensor


def decode_moment(code: Tensor) -> Scaled:
    """What codes (int64, no sign) stand for."""
    field, low = code >> (MOMENT_SIGNIFICAND_BITS - 1), code & (_HIDDEN - 1)
    return Scaled(torch.where(field > 0, low + _HIDDEN, low), (field - 1).clamp(min=0))


def encode_moment(number: Scaled, bits: int) -> Tensor:
    """The nearest `bits`-wide codes of numbers that are not negative."""
    drop = torch.maximum(bit_length(number.value) - MOMENT_SIGNIFICAND_BITS, -number.exponent)
    field = (number.exponent + drop) << (MOMENT_SIGNIFICAND_BITS - 1)
    code = (field + round_shift(number.value, drop)).clamp(max=(1 << bits) - 1)
    return torch.where(number.value > 0, code, 0)


def blend(old: Scaled, new: Scaled, share: int) -> Scaled:
    """Decoded moments, moved to new numbers of 16 bits by `share` * 2**-SHARE_BITS of the way."""
    old_exponent = old.exponent - _LIFT
    new_exponent = torch.where(new.value != 0, new.exponent, old_exponent)
    top = torch.maximum(old_exponent, new_exponent)
    a = round_shift(old.value << (_LIFT + MOMENT_GUARD), top - old_exponent)
    b = round_shift(new.value << MOMENT_GUARD, top - new_exponent)
    return Scaled((a << SHARE_BITS) + (b - a) * share, top - MOMENT_GUARD - SHARE_BITS)
