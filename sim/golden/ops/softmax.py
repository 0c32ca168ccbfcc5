"""softmax: over each row."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from hls.spec.formats import PROBABILITY_BITS
from sim.golden.calls import Fractions
from sim.golden.curves import exponential, probabilities
from sim.golden.fixed import Results, Stored, store


def softmax(*, x: Tensor, scale: int, f: Fractions, **_: Any) -> Results:
    """y [rows, n] = softmax of the rows of x [rows, n]; `scale` holds log2(e)."""
    wide = x.long()
    e = exponential(wide.amax(1, keepdim=True) - wide, f["x"][0], scale)
    y, statistics = store(probabilities(e, e.sum(1, keepdim=True)), PROBABILITY_BITS, f["y"][0])
    return {"y": Stored(y, (statistics,))}
