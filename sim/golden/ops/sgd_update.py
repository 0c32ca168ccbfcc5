"""sgd_update: one step of SGD with momentum and weight decay on int32 master weights."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from hls.spec.formats import MASTER_SHIFT, MOMENTUM_GUARD
from sim.golden.calls import Flags, Slots
from sim.golden.fixed import Results, Stored, requantise, round_shift, saturate
from sim.golden.master import Renewal, clamped_shift, rescaled


def sgd_update(
    *,
    master: Tensor,
    momentum: Tensor,
    gradient: Tensor,
    hyperparameters: Tensor,
    average_shift: int,
    flags: Flags,
    slots: Slots,
    **_: Any,
) -> Results:
    """New master, momentum (int32) and weight (int16), all [rows, n]; hyperparameters [1, 8] as the op table says."""
    rate, rate_shift, mu, decay, decay_shift = _hyperparameters(hyperparameters)
    (weight_slot,), (gradient_slot,) = slots["weight"], slots["gradient"]
    w, fw = rescaled(master.long(), weight_slot)
    fv, f_master = gradient_slot.f - MOMENTUM_GUARD, fw + MASTER_SHIFT
    v = requantise(momentum.long(), gradient_slot.f_previous - gradient_slot.f, 32)
    v = round_shift(v.mul_(mu), 16).add_(requantise(gradient.long(), MOMENTUM_GUARD + average_shift, 32))
    if "DECAY" in flags:
        v += requantise(w * decay, f_master + decay_shift - fv, 32)
    v = saturate(v, 32)
    unsaturated = w - requantise(v * rate, fv + rate_shift - f_master, 32)
    w = saturate(unsaturated, 32)
    renewal = Renewal.of(w, fw, int((w != unsaturated).sum()))
    weight = requantise(w, MASTER_SHIFT, 16)
    return {
        "master": Stored(w.int()),
        "momentum": Stored(v.int()),
        "weight": Stored(weight.short(), (renewal,)),
    }


def _hyperparameters(words: Tensor) -> tuple[int, int, int, int, int]:
    rate, rate_shift, mu, decay, decay_shift = words[0, :5].tolist()
    return rate & 0x1FFFF, clamped_shift(rate_shift), mu & 0x1FFFF, decay & 0x1FFFF, clamped_shift(decay_shift)
