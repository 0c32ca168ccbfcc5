"""gelu: elementwise."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sim.golden.calls import Fractions
from sim.golden.curves import GELU_BITS, gelu_value
from sim.golden.fixed import Results, Stored
from sim.golden.tokens import row_parts, store_rows


def gelu(*, x: Tensor, f: Fractions, **_: Any) -> Results:
    """y [rows, n] = GELU(x [rows, n])."""
    rows, n = x.shape
    parts = ((kind, gelu_value(x[part], f["x"][0]), GELU_BITS) for kind, part in row_parts(rows, 0, n))
    return {"y": Stored(*store_rows(parts, f["y"]))}
