"""Multi-head attention, dense and over selected keys.

Shapes: B images, H heads, T = 1 + K tokens (class token first), K patch tokens, k selected patch keys a query,
E head dimension. Both functions take q, k, v as [B, H, T, E] and give the context as [B, T, H * E].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from trainer.record import Recorder


class Probabilities(Protocol):
    """The softmax probabilities of one block."""

    def class_row(self) -> Tensor:
        """Head mean of the class token's row, [B, T]."""

    def head_sum(self) -> Tensor:
        """Sum over the heads as a full map, [B, T, T]; entries that were not computed are 0."""


@dataclass(frozen=True)
class DenseProbabilities:
    """Probabilities of every query over every key: `all_BHTT`."""

    all_BHTT: Tensor

    def class_row(self) -> Tensor:
        """See `Probabilities`."""
        return self.all_BHTT[:, :, 0].mean(dim=1)

    def head_sum(self) -> Tensor:
        """See `Probabilities`."""
        return self.all_BHTT.sum(dim=1)


@dataclass(frozen=True)
class SparseProbabilities:
    """Probabilities of the class query over all keys, and of the patch queries over their own.

    `keys_BKk` are token indices, [B, K, 1 + k]: the class key and the k selected patch keys.
    """

    class_BHT: Tensor
    patch_BHKk: Tensor
    keys_BKk: Tensor

    def class_row(self) -> Tensor:
        """See `Probabilities`."""
        return self.class_BHT.mean(dim=1)

    def head_sum(self) -> Tensor:
        """See `Probabilities`."""
        class_B1T = self.class_BHT.sum(dim=1, keepdim=True)
        B, K = self.keys_BKk.shape[:2]
        patch_BKT = class_B1T.new_zeros(B, K, 1 + K).scatter(2, self.keys_BKk, self.patch_BHKk.sum(dim=1))
        return torch.cat([class_B1T, patch_BKT], dim=1)


def dense_attention(q: Tensor, k: Tensor, v: Tensor, record: Recorder) -> tuple[Tensor, DenseProbabilities]:
    """Attention of every token to every token."""
    scale = q.shape[-1] ** -0.5
    p_BHTT = record("softmax", functional.softmax((q * scale) @ k.transpose(-2, -1), dim=-1))
    context = (p_BHTT @ v).transpose(1, 2).flatten(2)
    return context, DenseProbabilities(p_BHTT)


def sparse_attention(
    q: Tensor, k: Tensor, v: Tensor, patch_keys: Tensor, record: Recorder
) -> tuple[Tensor, SparseProbabilities]:
    """Attention of the class token to all tokens, and of each patch to the class token and its selected patches.

    `patch_keys` [B, K, k] are patch indices in 0..K-1, shared by the heads; only their keys and values are gathered.
    """
    keys_BKk = functional.pad(patch_keys + 1, (1, 0), value=0)
    scale = q.shape[-1] ** -0.5

    class_BH1T = functional.softmax((q[:, :, :1] * scale) @ k.transpose(-2, -1), dim=-1)
    class_BHT = record("softmax_class", class_BH1T.squeeze(2))
    class_B1HE = (class_BHT.unsqueeze(2) @ v).transpose(1, 2)

    # Products and sums instead of einsum, which would make one tiny matrix product a query and head.
    q_BK1HE = q[:, :, 1:].transpose(1, 2).unsqueeze(2) * scale
    scores_BKkH = (q_BK1HE * _gather_rows(k, keys_BKk)).sum(dim=-1)
    patch_BHKk = record("softmax_patch", functional.softmax(scores_BKkH, dim=2).permute(0, 3, 1, 2))
    patch_BKHE = (patch_BHKk.permute(0, 2, 3, 1).unsqueeze(-1) * _gather_rows(v, keys_BKk)).sum(dim=2)

    context = torch.cat([class_B1HE, patch_BKHE], dim=1).flatten(2)
    return context, SparseProbabilities(class_BHT, patch_BHKk, keys_BKk)


def _gather_rows(rows_BHTE: Tensor, keys_BKk: Tensor) -> Tensor:
    """The rows each query selected, [B, K, k, H, E].

    An embedding look-up, because its backward is fast and the same in every run, on the CPU and under CUDA.
    """
    B, H, T, E = rows_BHTE.shape
    table = rows_BHTE.transpose(1, 2).reshape(B * T, H * E)
    first_row_B11 = T * torch.arange(B, device=keys_BKk.device)[:, None, None]
    return functional.embedding(first_row_B11 + keys_BKk, table).unflatten(-1, (H, E))
