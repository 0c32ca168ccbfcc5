"""sgd_update: one step of SGD with momentum and weight decay on int32 master weights."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sim.golden.calls import Flags, Slots
from sim.golden.fixed import Results, saturate
from sim.golden.sgd import sgd_step


def sgd_update(
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
    """New state (int32 [rows, 2, n]: low half, momentum) and weight (int16 [rows, n]) by a gradient [rows, n].

    The gradient passes the epilogue of the array, whose results are symmetric: -2^31 counts as -(2^31 - 1).
    """
    (weight_slot,), (gradient_slot,) = slots["weight"], slots["gradient"]
    symmetric = saturate(gradient.long(), 32)
    return sgd_step(state, weight, symmetric, hyperparameters, average_shift, flags, weight_slot, gradient_slot)
