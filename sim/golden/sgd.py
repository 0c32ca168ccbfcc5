"""SGD with momentum and weight decay on int32 master weights: alone, and behind the gradient of a weight."""

from __future__ import annotations

from torch import Tensor

from hls.spec.formats import MASTER_SHIFT, MOMENTUM_GUARD
from sim.golden.calls import Flags
from sim.golden.fixed import Results, requantise, round_shift, saturate
from sim.golden.master import Renewal, clamped_shift, halves, limited, master_of, rescaled
from sim.golden.slots import Slot


def sgd_step(
    state: Tensor,
    weight: Tensor,
    gradient: Tensor,
    hyperparameters: Tensor,
    average_shift: int,
    flags: Flags,
    weight_slot: Slot,
    gradient_slot: Slot,
) -> Results:
    """New state (int32 [rows, 2, n]: low half, momentum) and weight (int16 [rows, n]) from a gradient [rows, n].

    The hyperparameters [1, 8] are as the op table says.
    """
    rate, rate_shift, mu, decay, decay_shift = _hyperparameters(hyperparameters)
    is_later_part = "LATER_PART" in flags
    w, fw = rescaled(master_of(weight, state), weight_slot, is_later_part)
    fv, f_master = gradient_slot.f - MOMENTUM_GUARD, fw + MASTER_SHIFT
    v = requantise(state[:, 1].long(), gradient_slot.f_previous - gradient_slot.f, 32)
    v = round_shift(v.mul_(mu), 16).add_(requantise(gradient.long(), MOMENTUM_GUARD + average_shift, 32))
    if "DECAY" in flags:
        v += requantise(w * decay, f_master + decay_shift - fv, 32)
    v = saturate(v, 32)
    unsaturated = w - requantise(v * rate, fv + rate_shift - f_master, 32)
    w = limited(unsaturated)
    return halves(w, v, Renewal.of(w, fw, int((w != unsaturated).sum()), is_later_part))


def _hyperparameters(words: Tensor) -> tuple[int, int, int, int, int]:
    rate, rate_shift, mu, decay, decay_shift = words[0, :5].tolist()
    return rate & 0x1FFFF, clamped_shift(rate_shift), mu & 0x1FFFF, decay & 0x1FFFF, clamped_shift(decay_shift)
