"""DynamicViT's attention masking: keys weighted by decisions that can be differentiated (Rao et al. 2021).

    P_ij = exp(S_ij) G_ij / sum_k exp(S_ik) G_ik,   G_ij = policy_j for i != j, and 1 on the diagonal

With a policy of ones this is the softmax; with zeros and ones it leaves out keys, and yet the policy gets a gradient
for the keys that it left out. Every product is computed: in training the method saves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.attention.connections import LazyProbabilities, Probabilities, merge_heads
from trainer.record import Recorder


@dataclass(frozen=True)
class PolicyConnections:
    """Keys weighted by `policy` [B, T], 0 or 1 in value; every query keeps its own key."""

    policy: Tensor

    def attend(self, q: Tensor, k: Tensor, v: Tensor, record: Recorder) -> tuple[Tensor, Probabilities]:
        """See `trainer.attention.connections.Connections`."""
        own_TT = torch.eye(q.shape[2], dtype=torch.bool, device=q.device)
        graph_B1TT = self.policy[:, None, None].masked_fill(own_TT, 1.0)
        scores = (q * q.shape[-1] ** -0.5) @ k.mT
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        # The maximum over all keys, not over the kept ones, bounds the gradient of a key that was left out.
        weights = (scores - scores.detach().amax(dim=-1, keepdim=True)).exp() * graph_B1TT
        total = weights.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
        context = record("softmax", (weights / total).to(v.dtype)) @ v
        allowed_BTT = (self.policy.detach() > 0.5)[:, None] | own_TT
        return merge_heads(context), LazyProbabilities.of(q, k, allowed_BTT)
