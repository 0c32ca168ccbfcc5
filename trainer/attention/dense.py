"""Attention of every token to every token."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from trainer.attention.connections import LazyProbabilities, Probabilities, merge_heads
from trainer.record import Recorder


@dataclass(frozen=True)
class DenseConnections:
    """All keys."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, record: Recorder) -> tuple[Tensor, Probabilities]:
        """See `trainer.attention.connections.Connections`; fused, unless the map is to be recorded."""
        if record.active:
            context = record("softmax", functional.softmax((q * q.shape[-1] ** -0.5) @ k.mT, dim=-1)) @ v
        else:
            context = functional.scaled_dot_product_attention(q, k, v)
        return merge_heads(context), LazyProbabilities.of(q, k)


ALL_KEYS = DenseConnections()
