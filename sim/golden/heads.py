"""What attention and its backward share: heads of a token matrix, listed keys, and the probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Lists:
    """Keys of the patch queries by position: the class key, then the listed ones.

    Attributes:
        tokens: [batch, patches, positions], the token at each position.
        counts: the same shape; whether the position counts: its token is above all before it in the list.
    """

    tokens: Tensor
    counts: Tensor

    def __getitem__(self, images: slice) -> Lists:
        """The lists of some images."""
        return Lists(self.tokens[images], self.counts[images])

    def mask(self, tokens: int) -> Tensor:
        """Which query has which key: bool [batch, 1, 1 + patches, tokens]; the class query has all."""
        batch, patches, _ = self.tokens.shape
        has = torch.zeros(batch, patches, tokens, dtype=torch.int64, device=self.tokens.device)
        has.scatter_add_(2, self.tokens, self.counts.long())
        return torch.cat([torch.ones_like(has[:, :1]), has], 1)[:, None].bool()


def listed_keys(keys: Tensor | None, batch: int, patches: int, queries: int) -> Lists | None:
    """The lists of all patch queries; None when all queries have all keys."""
    if keys is None or queries == 1:
        return None
    chosen = indices(keys, patches).reshape(batch, patches, -1) + 1
    tokens = torch.cat([torch.zeros_like(chosen[:, :, :1]), chosen], 2)
    before = tokens.cummax(2).values[:, :, :-1]
    counts = torch.cat([torch.ones_like(tokens[:, :, :1], dtype=torch.bool), tokens[:, :, 1:] > before], 2)
    return Lists(tokens, counts)


def attend(q: Tensor, k: Tensor, has: Tensor | None, fraction: int, scale: int, f: int) -> tuple[Tensor, Statistics]:
    """Probabilities [batch, heads, queries, tokens] at `f`, 0 where a query has no key; `q`, `k` are at `fraction`."""
    scores = exact_matmul(q, k.transpose(2, 3))
    if has is None:
        e = exponential(scores.amax(3, keepdim=True) - scores, 2 * fraction, scale)
    else:
        largest = scores.masked_fill(~has, torch.iinfo(torch.int64).min).amax(3, keepdim=True)
        # A key that the query does not have may have a larger score; its distance is not used.
        e = exponential((largest - scores).clamp(min=0), 2 * fraction, scale).masked_fill(~has, 0)
    return store(probabilities(e, e.sum(3, keepdim=True)), PROBABILITY_BITS, f)


def by_position(values: Tensor, listed: Lists | None) -> Tensor:
    """Values [batch, heads, queries, tokens] as memory holds them, by position; what is behind a list is 0."""
    if listed is None:
        return values
    patches, heads = values[:, :, 1:], values.shape[1]
    tokens = listed.tokens[:, None].expand(-1, heads, -1, -1)
    at_positions = patches.gather(3, tokens).masked_fill_(~listed.counts[:, None], 0)
    result = torch.zeros_like(values)
    result[:, :, 0] = values[:, :, 0]
    result[:, :, 1:, : at_positions.shape[3]] = at_positions
    return result


def by_token(values: Tensor, listed: Lists | None) -> Tensor:
    """The inverse: values by token, 0 where a query has no key."""
    if listed is None:
        return values
    heads, positions = values.shape[1], listed.tokens.shape[2]
    tokens = listed.tokens[:, None].expand(-1, heads, -1, -1)
    at_positions = values[:, :, 1:, :positions].masked_fill(~listed.counts[:, None], 0)
    result = torch.zeros_like(values)
    result[:, :, 0] = values[:, :, 0]
    result[:, :, 1:].scatter_add_(3, tokens, at_positions)
    return result


def used_columns(listed: Lists | None, batch: int, heads: int, queries: int, tokens: int) -> list[int]:
    """How many columns each row of a matrix by position has."""
    patch_row = tokens if listed is None else listed.tokens.shape[2]
    return ([tokens] + [patch_row] * (queries - 1)) * (batch * heads)
