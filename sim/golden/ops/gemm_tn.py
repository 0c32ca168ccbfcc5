"""gemm_tn: the gradients of a weight and of its bias; the update of the weight."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sim.golden.calls import Flags, Fractions, Slots
from sim.golden.fixed import Results, Stored, exact_matmul
from sim.golden.row_sums import rounded_gradient, store_gradient, sum_rows
from sim.golden.sgd import sgd_step


def gemm_tn(
    *,
    dy: Tensor,
    x: Tensor,
    dw: Tensor,
    dbias: Tensor | None,
    state: Tensor | None,
    weight: Tensor | None,
    hyperparameters: Tensor | None,
    rows: int,
    split: int,
    average_shift: int,
    f: Fractions,
    flags: Flags,
    slots: Slots,
    **_: Any,
) -> Results:
    """dw [n, k] (+)= dy^T [rows, n] x [rows, k]; dbias [1, n] (+)= the column sums of dy.

    With UPDATE dw stays inside, and state (int32 [n, 2, k]: low half, momentum) and weight (int16 [n, k]) are updated.
    """
    fractions = [g + f["x"][0] for g in f["dy"]]
    acc, fraction = sum_rows(rows, split, fractions, lambda part: exact_matmul(dy[part].T, x[part]))
    gradient, statistics = rounded_gradient(acc, fraction, dw, f["dw"][0], flags)
    results: Results = {"dw": Stored(gradient, (statistics,))}
    if dbias is not None:
        sums, fraction = sum_rows(rows, split, f["dy"], lambda part: dy[part].long().sum(0, keepdim=True))
        results["dbias"] = store_gradient(sums, fraction, dbias, f["dbias"][0], flags)
    if state is not None and weight is not None and hyperparameters is not None:
        own = slots["weight"][0], slots["dw"][0]
        results |= sgd_step(state, weight, gradient, hyperparameters, average_shift, flags, *own)
        results["dw"] = Stored(None, (statistics,))
    return results
