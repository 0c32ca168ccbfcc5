"""Attention that leaves out whole keys: padding, and tokens that were dropped but not gathered away."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from trainer.attention.connections import LazyProbabilities, Probabilities, merge_heads
from trainer.record import Recorder


@dataclass(frozen=True)
class KeyMask:
    """Every query attends to the keys that `alive` bool [B, T] marks; each image has at least one."""

    alive: Tensor

    def attend(self, q: Tensor, k: Tensor, v: Tensor, record: Recorder) -> tuple[Tensor, Probabilities]:
        """See `trainer.attention.connections.Connections`."""
        allowed_B11T = self.alive[:, None, None]
        if record.active:
            scores = ((q * q.shape[-1] ** -0.5) @ k.mT).masked_fill(~allowed_B11T, -torch.inf)
            context = record("softmax", scores.softmax(dim=-1)) @ v
        else:
            context = functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed_B11T)
        allowed_BTT = self.alive[:, None].expand(-1, q.shape[2], -1)
        return merge_heads(context), LazyProbabilities.of(q, k, allowed_BTT)
