"""softmax_backward: the gradient of a row-wise softmax."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sim.golden.calls import Fractions
from sim.golden.fixed import Results, Stored, round_shift
from sim.golden.tokens import row_parts, store_rows


def softmax_backward(*, dy: Tensor, y: Tensor, rows: int, split: int, f: Fractions, **_: Any) -> Results:
    """dx [rows, n] = y * (dy - sum of y * dy over the row)."""
    gradient, probability = dy.long(), y.long()
    mean = round_shift((probability * gradient).sum(1, keepdim=True), f["y"][0])
    acc = probability * (gradient - mean)
    parts = [(kind, acc[part], f["dy"][kind] + f["y"][0]) for kind, part in row_parts(rows, split)]
    return {"dx": Stored(*store_rows(parts, f["dx"]))}
