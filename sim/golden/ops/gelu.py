"""gelu: elementwise."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sim.golden.calls import Fractions
from sim.golden.curves import GELU_BITS, gelu_value
from sim.golden.fixed import Results, Stored, store


def gelu(*, x: Tensor, f: Fractions, **_: Any) -> Results:
    """y [rows, n] = GELU(x [rows, n])."""
    y, statistics = store(gelu_value(x, f["x"][0]), GELU_BITS, f["y"][0])
    return {"y": Stored(y, (statistics,))}
