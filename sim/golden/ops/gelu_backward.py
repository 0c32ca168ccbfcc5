"""gelu_backward: elementwise."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sim.golden.calls import Fractions
from sim.golden.curves import SLOPE_BITS, gelu_slope
from sim.golden.fixed import Results, Stored
from sim.golden.tokens import row_parts, store_rows


def gelu_backward(*, dy: Tensor, x: Tensor, rows: int, split: int, n: int, f: Fractions, **_: Any) -> Results:
    """dx [rows, n] = dy * GELU'(x)."""
    parts = (
        (kind, gelu_slope(x[part], f["x"][0]).mul_(dy[part]), f["dy"][kind] + SLOPE_BITS)
        for kind, part in row_parts(rows, split, n)
    )
    return {"dx": Stored(*store_rows(parts, f["dx"]))}
