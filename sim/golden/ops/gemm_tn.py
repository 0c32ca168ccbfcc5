"""gemm_tn: the gradient of a weight."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sim.golden.calls import Flags, Fractions
from sim.golden.fixed import Results, exact_matmul
from sim.golden.row_sums import store_gradient, sum_rows


def gemm_tn(
    *, dy: Tensor, x: Tensor, dw: Tensor, rows: int, split: int, f: Fractions, flags: Flags, **_: Any
) -> Results:
    """dw [n, k] (+)= dy^T [rows, n] x [rows, k]."""
    fractions = [g + f["x"][0] for g in f["dy"]]
    acc, fraction = sum_rows(rows, split, fractions, lambda part: exact_matmul(dy[part].T, x[part]))
    return {"dw": store_gradient(acc, fraction, dw, f["dw"][0], flags)}
