"""Choosing and reading token indices."""

from __future__ import annotations

import torch
from torch import Tensor


def largest(values: Tensor, count: int) -> Tensor:
    """Positions of the `count` largest values of the last dimension, the lowest position winning ties, ascending."""
    order = torch.sort(values, dim=-1, descending=True, stable=True).indices
    return order[..., :count].sort(dim=-1).values


def indices(stored: Tensor, count: int) -> Tensor:
    """Indices from memory (uint16) as int64, clamped below `count`."""
    return stored.long().clamp(max=count - 1)
