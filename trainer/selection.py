"""Token & attention selection: which patch tokens survive, and which patch keys each of them attends to.

Shapes: B images, N patch tokens before a selector, K after it, k patch keys a query, D dimension, P class tokens in
front (0 or 1). Patch indices leave the class token out: patch i is token P + i. `kept` counts in the N patches that
enter the selector, `keys` in the K patches that leave it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from host.errors import PeelVitError


def largest(scores: Tensor, count: int) -> Tensor:
    """Indices of the `count` largest along the last dimension, in no order; among equals the lowest index wins."""
    if scores.dtype == torch.float64 or torch.compiler.is_exporting():  # ONNX cannot read a float's bits
        return torch.sort(scores, dim=-1, descending=True, stable=True).indices[..., :count]
    return torch.topk(_with_rank(scores.float()), count, dim=-1, sorted=False).indices


def _with_rank(scores: Tensor) -> Tensor:
    """Whole numbers in the order of `scores`, equal ones apart by index: a plain top-k is a third of a stable sort."""
    bits = scores.contiguous().view(torch.int32).to(torch.int64)
    bits = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)  # a negative float's magnitude bits count the other way
    places = scores.shape[-1]
    return bits * places + torch.arange(places - 1, -1, -1, device=scores.device)


def select_tokens(scores_BN: Tensor, count: int) -> Tensor:
    """The `count` patches of the highest scores, [B, count], ascending."""
    patches = scores_BN.shape[-1]
    if not 1 <= count <= patches:
        raise PeelVitError(f"a selector cannot keep {count} of {patches} tokens; give a count from 1 to {patches}")
    if count == patches:
        return torch.arange(patches, device=scores_BN.device).expand(len(scores_BN), -1)
    return largest(scores_BN, count).sort(dim=-1).values


def select_keys(scores_BKN: Tensor, kept: Tensor, count: int) -> Tensor:
    """For each kept patch itself and the `count` - 1 other kept patches of the highest scores, [B, K, count].

    They come in no order. `scores_BKN` are the kept patches' rows over all N patches.
    """
    patches = kept.shape[1]
    if not 1 <= count <= patches:
        raise PeelVitError(f"a query cannot have {count} of {patches} patch keys; give a count from 1 to {patches}")
    scores_BKK = scores_BKN.gather(2, kept[:, None, :].expand(-1, patches, -1))
    itself = torch.eye(patches, dtype=torch.bool, device=kept.device)
    return largest(scores_BKK.masked_fill(itself, torch.inf), count)


def token_rows(kept: Tensor, prefix: int = 1) -> Tensor:
    """Rows of the class tokens and of the kept patches among all tokens, [B, P + K]."""
    if prefix == 0:
        return kept
    front = torch.arange(prefix, device=kept.device).expand(len(kept), -1)
    return torch.cat([front, kept + prefix], dim=1)


def gather_tokens(x_BTD: Tensor, kept: Tensor, prefix: int = 1) -> Tensor:
    """The class tokens and the kept patch tokens, [B, P + K, D]."""
    return x_BTD.gather(1, token_rows(kept, prefix)[:, :, None].expand(-1, -1, x_BTD.shape[2]))
