"""embed_class: the class-token rows of the first layer's input."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sim.golden.calls import Fractions
from sim.golden.fixed import Results, Stored, align, store


def embed_class(*, token: Tensor, position: Tensor, batch: int, f: Fractions, **_: Any) -> Results:
    """Every row of x [batch, n] = token [1, n] + position [1, n]."""
    fraction = max(f["token"][0], f["position"][0])
    acc = align(token, f["token"][0], fraction) + align(position, f["position"][0], fraction)
    x, statistics = store(acc.expand(batch, -1), fraction, f["x"][0])
    return {"x": Stored(x, (statistics,))}
