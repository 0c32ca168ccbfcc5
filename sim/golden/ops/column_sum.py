"""column_sum: the gradient of a bias, or of the position embedding."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sim.golden.calls import Flags, Fractions
from sim.golden.fixed import Results
from sim.golden.row_sums import store_gradient, sum_rows


def column_sum(
    *, dy: Tensor, dw: Tensor, rows: int, split: int, period: int, f: Fractions, flags: Flags, **_: Any
) -> Results:
    """dw [period, n] (+)= sums of the rows r of dy [rows, n] with the same r % period."""
    acc, fraction = sum_rows(rows, split, f["dy"], lambda part: _periodic_sum(dy[part].long(), period))
    return {"dw": store_gradient(acc, fraction, dw, f["dw"][0], flags)}


def _periodic_sum(values: Tensor, period: int) -> Tensor:
    whole = len(values) // period * period
    total = values[:whole].reshape(-1, period, values.shape[1]).sum(0)
    total[: len(values) - whole] += values[whole:]
    return total
