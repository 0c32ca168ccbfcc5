"""ToMe's proportional attention: a merged token counts as often as the patches it is made of (Bolya et al. 2023).

P = softmax(Q K^T / sqrt(E) + log s)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from trainer.attention.connections import LazyProbabilities, Probabilities, merge_heads
from trainer.record import Recorder


@dataclass(frozen=True)
class ProportionalConnections:
    """All keys, each weighted by `sizes` [B, T], the number of tokens merged in it."""

    sizes: Tensor

    def attend(self, q: Tensor, k: Tensor, v: Tensor, record: Recorder) -> tuple[Tensor, Probabilities]:
        """See `trainer.attention.connections.Connections`."""
        bias_B11T = self.sizes.log().to(q.dtype)[:, None, None]
        if record.active:
            scores = (q * q.shape[-1] ** -0.5) @ k.mT + bias_B11T
            context = record("softmax", scores.softmax(dim=-1)) @ v
        else:
            context = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias_B11T)
        return merge_heads(context), ProportionalProbabilities(q.detach(), k.detach(), bias_B11T=bias_B11T.detach())


@dataclass(frozen=True, kw_only=True)
class ProportionalProbabilities(LazyProbabilities):
    """Probabilities whose scores have a bias by key."""

    bias_B11T: Tensor

    def _softmax(self, q: Tensor, allowed: Tensor | None) -> Tensor:
        return torch.softmax((q * q.shape[-1] ** -0.5) @ self.k.mT + self.bias_B11T, dim=-1)
