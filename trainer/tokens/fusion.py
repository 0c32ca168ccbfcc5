"""EViT's fused token: what was pruned lives on as one token (Liang et al. 2022, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor


def fuse_tokens(kept_BTD: Tensor, all_BTD: Tensor, scores_BN: Tensor, kept: Tensor, prefix: int) -> Tensor:
    """`kept_BTD` with one more token at its end: the pruned patches' sum, weighted by their scores over their total."""
    weights_BN = scores_BN.to(all_BTD.dtype).scatter(1, kept, 0.0)
    weights_BN = weights_BN / weights_BN.sum(dim=1, keepdim=True).clamp_min(torch.finfo(weights_BN.dtype).tiny)
    fused_B1D = weights_BN[:, None] @ all_BTD[:, prefix:]
    return torch.cat([kept_BTD, fused_B1D], dim=1)
