"""class_variance: how uneven the class token's attention is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sim.golden.calls import Fractions
from sim.golden.fixed import Results, Stored


def class_variance(*, map: Tensor, patches: int, map_rows: int, f: Fractions, **_: Any) -> Results:
    """variance [batch, 8]: patches^2 times the variance of the class query's row of map, (low, high, f, patches)."""
    m = map[::map_rows, 1:].long()
    total = m.sum(1)
    v = patches * (m * m).sum(1) - total * total
    words = v.new_zeros(len(v), 8)
    words[:, 0], words[:, 1], words[:, 2], words[:, 3] = v, v >> 32, f["map"][0], patches
    return {"variance": Stored(words.to(torch.int32))}
