"""gemm_tn: the gradients of a weight and of its bias."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sim.golden.calls import Flags, Fractions
from sim.golden.fixed import Results, exact_matmul
from sim.golden.row_sums import store_gradient, sum_rows


def gemm_tn(
    *,
    dy: Tensor,
    x: Tensor,
    dw: Tensor,
    dbias: Tensor | None,
    rows: int,
    split: int,
    f: Fractions,
    flags: Flags,
    **_: Any,
) -> Results:
    """dw [n, k] (+)= dy^T [rows, n] x [rows, k]; dbias [1, n] (+)= the column sums of dy."""
    fractions = [g + f["x"][0] for g in f["dy"]]
    acc, fraction = sum_rows(rows, split, fractions, lambda part: exact_matmul(dy[part].T, x[part]))
    results: Results = {"dw": store_gradient(acc, fraction, dw, f["dw"][0], flags)}
    if dbias is not None:
        sums, fraction = sum_rows(rows, split, f["dy"], lambda part: dy[part].long().sum(0, keepdim=True))
        results["dbias"] = store_gradient(sums, fraction, dbias, f["dbias"][0], flags)
    return results
