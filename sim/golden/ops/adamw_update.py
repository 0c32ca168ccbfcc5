"""adamw_update: one step of AdamW on int32 master weights, its moments as 16-bit codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hls.spec.formats import (
    DECAY_DROP,
    EXP_AVG_BITS,
    EXP_AVG_FRACTION,
    EXP_AVG_SQ_BITS,
    EXP_AVG_SQ_FRACTION,
    MASTER_SHIFT,
    SHARE_BITS,
)
from sim.golden.calls import Flags, Slots
from sim.golden.curves import rsqrt
from sim.golden.fixed import Results, bit_length, requantise, round_shift
from sim.golden.master import Renewal, clamped_shift, halves, limited, master_of, rescaled
from sim.golden.moments import Scaled, blend, decode_moment, encode_moment

_SIGN = 1 << EXP_AVG_BITS
_EXP_AVG_LARGEST, _EXP_AVG_SQ_LARGEST = (1 << EXP_AVG_BITS) - 1, (1 << EXP_AVG_SQ_BITS) - 1
_UNIT_SHIFT = 16 + EXP_AVG_FRACTION - EXP_AVG_SQ_FRACTION // 2
"""Fraction of a first moment times the mantissa of a second moment's inverse root."""
_STEP_DROP = 8
"""Low bits of that product that the step leaves out."""


@dataclass(frozen=True)
class _Hyperparameters:
    """The row of the op table."""

    rate: int
    rate_shift: int
    exp_avg_share: int
    exp_avg_sq_share: int
    decay: int
    decay_shift: int
    floor: int


def adamw_update(
    *,
    state: Tensor,
    weight: Tensor,
    gradient: Tensor,
    hyperparameters: Tensor,
    average_shift: int,
    flags: Flags,
    slots: Slots,
    **_: Any,
) -> Results:
    """New state (int32 [rows, 2, n]: low half, moments) and weight (int16 [rows, n]) by a gradient [rows, n].

    The hyperparameters [1, 8] are as the op table says.
    """
    hyper = _hyperparameters(hyperparameters)
    (weight_slot,), (gradient_slot,) = slots["weight"], slots["gradient"]
    w, fw = rescaled(master_of(weight, state), weight_slot)
    g = _normalised(gradient.long(), gradient_slot.f + max(-256, min(256, average_shift)))
    codes = state[:, 1].long()
    exp_avg, sign = _new_exp_avg(codes & 0xFFFF, g, hyper.exp_avg_share)
    exp_avg_sq = _new_exp_avg_sq(codes >> 16 & 0xFFFF, g, hyper.exp_avg_sq_share)
    moved = w - _step(exp_avg, sign, exp_avg_sq, hyper, fw + MASTER_SHIFT)
    if "DECAY" in flags:
        moved -= requantise(round_shift(w, DECAY_DROP) * hyper.decay, hyper.decay_shift - DECAY_DROP, 32)
    w = limited(moved)
    at_end = (w != moved) | (exp_avg == _EXP_AVG_LARGEST) | (exp_avg_sq == _EXP_AVG_SQ_LARGEST)
    record = exp_avg_sq << 16 | sign | exp_avg
    return halves(w, record, Renewal.of(w, fw, int(at_end.sum())))


def _normalised(gradient: Tensor, fraction: int) -> Scaled:
    """Gradients as 16-bit values with an exponent above the unit 1."""
    drop = bit_length(gradient.abs()) - 16
    value = round_shift(gradient.abs(), drop) * gradient.sign()
    return Scaled(value, drop - fraction)


def _new_exp_avg(code: Tensor, g: Scaled, share: int) -> tuple[Tensor, Tensor]:
    """The code of the magnitude, and the sign in its place."""
    old = decode_moment(code & _EXP_AVG_LARGEST)
    signed = torch.where(code >= _SIGN, -old.value, old.value)
    new = blend(Scaled(signed, old.exponent), Scaled(g.value, g.exponent + EXP_AVG_FRACTION), share)
    return encode_moment(Scaled(new.value.abs(), new.exponent), EXP_AVG_BITS), (new.value < 0) * _SIGN


def _new_exp_avg_sq(code: Tensor, g: Scaled, share: int) -> Tensor:
    """The code."""
    square = Scaled(round_shift(g.value * g.value, 16), 2 * g.exponent + 16 + EXP_AVG_SQ_FRACTION)
    return encode_moment(blend(decode_moment(code), square, share), EXP_AVG_SQ_BITS)


def _step(exp_avg: Tensor, sign: Tensor, exp_avg_sq: Tensor, hyper: _Hyperparameters, f_master: int) -> Tensor:
    """rate * first moment / sqrt(second moment) at fraction `f_master`."""
    first, second = decode_moment(exp_avg), decode_moment(exp_avg_sq.clamp(min=hyper.floor))
    mantissa, exponent = rsqrt((second.value << (second.exponent & 1)).clamp(min=1))
    product = torch.where(sign > 0, -first.value, first.value) * mantissa
    fraction = _UNIT_SHIFT - _STEP_DROP + exponent + (second.exponent >> 1) - first.exponent
    return requantise(round_shift(product, _STEP_DROP) * hyper.rate, fraction + hyper.rate_shift - f_master, 32)


def _hyperparameters(words: Tensor) -> _Hyperparameters:
    rate, rate_shift, exp_avg_share, exp_avg_sq_share, decay, decay_shift, floor, _ = words[0].tolist()
    return _Hyperparameters(
        rate & 0x1FFFF,
        clamped_shift(rate_shift),
        min(exp_avg_share & 0x1FFFF, 1 << SHARE_BITS),
        min(exp_avg_sq_share & 0x1FFFF, 1 << SHARE_BITS),
        decay & 0x1FFFF,
        clamped_shift(decay_shift),
        floor & 0xFFFF,
    )
