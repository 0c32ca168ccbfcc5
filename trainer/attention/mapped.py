"""Attention that makes its map, for the blocks whose map a selector reads.

On a CPU fused attention is not faster at the sizes of a ViT (`python -m trainer.bench`), so making the map there once
is cheaper than computing its probabilities again for the selector.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.attention.connections import Connections, MapProbabilities, Probabilities, merge_heads
from trainer.attention.dense import DenseConnections
from trainer.attention.selected import SelectedKeys
from trainer.record import Recorder


@dataclass(frozen=True)
class MappedConnections:
    """All keys, or those that `allowed` [B, T, T] leaves."""

    allowed: Tensor | None

    def attend(self, q: Tensor, k: Tensor, v: Tensor, record: Recorder) -> tuple[Tensor, Probabilities]:
        """See `trainer.attention.connections.Connections`."""
        scores = (q * q.shape[-1] ** -0.5) @ k.mT
        if self.allowed is not None:
            closed = torch.zeros(self.allowed.shape, dtype=q.dtype, device=q.device)
            scores = scores + closed.masked_fill_(~self.allowed, -torch.inf)[:, None]
        map_BHTT = record("softmax", scores.softmax(dim=-1))
        return merge_heads(map_BHTT @ v), MapProbabilities(map_BHTT.detach())


def with_map(connections: Connections, device: torch.device) -> Connections:
    """The same connections, making their map where that costs less than asking for it later."""
    if device.type != "cpu":
        return connections
    if isinstance(connections, DenseConnections):
        return MappedConnections(None)
    if isinstance(connections, SelectedKeys):
        return MappedConnections(connections.allowed)
    return connections
