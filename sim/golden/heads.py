"""What attention and its backward share: heads of a token matrix, listed keys, and the probabilities."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from hls.spec.formats import PROBABILITY_BITS
from sim.golden.curves import exponential, probabilities
from sim.golden.fixed import exact_matmul, store
from sim.golden.selection import indices
from sim.golden.slots import Statistics
from sim.golden.tokens import tokens_of

_ELEMENTS = 1 << 17
"""Scores worked on at once: images are taken in groups, so that large batches stay in the cache and in memory."""


def image_groups(batch: int, heads: int, queries: int, tokens: int) -> Iterator[slice]:
    """Ranges of images of bounded size."""
    step = max(1, _ELEMENTS // (heads * queries * tokens))
    return (slice(first, min(first + step, batch)) for first in range(0, batch, step))


def split_heads(matrix: Tensor, batch: int, heads: int, head_dim: int) -> Tensor:
    """[parts, batch, heads, tokens, head_dim] of a token matrix with columns [parts * heads * head_dim]."""
    tokens = tokens_of(matrix, batch)
    return tokens.reshape(batch, tokens.shape[1], -1, heads, head_dim).permute(2, 0, 3, 1, 4)


def merge_heads(values: Tensor) -> Tensor:
    """[batch, tokens, heads * head_dim] of [batch, heads, tokens, head_dim]."""
    return values.transpose(1, 2).flatten(2)


def listed_keys(keys: Tensor | None, batch: int, patches: int, queries: int) -> Tensor | None:
    """How often each query has each key: [batch, 1, queries, 1 + patches]; None when all queries have all keys once."""
    if keys is None or queries == 1:
        return None
    chosen = indices(keys, patches).reshape(batch, patches, -1)
    listed = torch.zeros(batch, patches, 1 + patches, dtype=torch.int64, device=keys.device)
    listed[:, :, 0] = 1
    listed[:, :, 1:].scatter_add_(2, chosen, torch.ones_like(chosen))
    return torch.cat([torch.ones_like(listed[:, :1]), listed], 1)[:, None]


def attend(q: Tensor, k: Tensor, listed: Tensor | None, fraction: int, scale: int, f: int) -> tuple[Tensor, Statistics]:
    """Probabilities [batch, heads, queries, tokens] at `f`, 0 for unlisted keys; `q` and `k` are at `fraction`."""
    scores = exact_matmul(q, k.transpose(2, 3))
    if listed is None:
        e = exponential(scores.amax(3, keepdim=True) - scores, 2 * fraction, scale)
        total = e.sum(3, keepdim=True)
    else:
        absent = listed == 0
        largest = scores.masked_fill(absent, torch.iinfo(torch.int64).min).amax(3, keepdim=True)
        # A key that is not listed may have a larger score; its distance is not used.
        e = exponential((largest - scores).clamp(min=0), 2 * fraction, scale).masked_fill(absent, 0)
        total = (e * listed).sum(3, keepdim=True)
    return store(probabilities(e, total), PROBABILITY_BITS, f, copies=listed)


def counted(values: Tensor, listed: Tensor | None) -> Tensor:
    """Values of each query and key, times how often the query has the key."""
    return values if listed is None else values * listed
