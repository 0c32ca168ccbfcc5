"""What every kind of attention has in common: which keys a query attends to, and the probabilities it did so with.

Shapes: B images, H heads, T tokens (class token first where there is one), R rows asked for, E head dimension.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from trainer.record import Recorder


class Probabilities(Protocol):
    """The softmax probabilities of one block, detached, and computed only when they are asked for."""

    def class_row(self) -> Tensor:
        """Head mean of the class token's row, [B, T]."""

    def rows(self, queries: Tensor) -> Tensor:
        """Head sum of the rows of the tokens `queries` [B, R], [B, R, T]; entries that were not computed are 0."""

    def head_sum(self) -> Tensor:
        """Head sum of the whole map, [B, T, T]; entries that were not computed are 0."""

    def column_sums(self) -> Tensor:
        """Head mean of the map, summed over the queries, [B, T]: the importance of a key without a class token."""


class Connections(Protocol):
    """Which keys each query attends to."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, record: Recorder) -> tuple[Tensor, Probabilities]:
        """Attention of q, k, v, each [B, H, T, E]: the context [B, T, H * E] and the probabilities."""


@dataclass(frozen=True)
class LazyProbabilities:
    """Probabilities from detached queries and keys [B, H, T, E]; `allowed` [B, T, T] masks connections (None: all).

    Keeping the two costs nothing, because the backward pass keeps them anyway; a layer that feeds no selector never
    makes its map.
    """

    q: Tensor
    k: Tensor
    allowed: Tensor | None = None

    @classmethod
    def of(cls, q: Tensor, k: Tensor, allowed: Tensor | None = None) -> LazyProbabilities:
        """Probabilities of `q` and `k`, cut off the graph."""
        return cls(q.detach(), k.detach(), allowed)

    @torch.no_grad()
    def class_row(self) -> Tensor:
        """See `Probabilities`."""
        return self._softmax(self.q[:, :, :1], None if self.allowed is None else self.allowed[:, :1]).mean(dim=1)[:, 0]

    @torch.no_grad()
    def rows(self, queries: Tensor) -> Tensor:
        """See `Probabilities`."""
        B, H, T, E = self.q.shape
        q = self.q.gather(2, queries[:, None, :, None].expand(-1, H, -1, E))
        allowed = None
        if self.allowed is not None:
            allowed = self.allowed.expand(B, -1, -1).gather(1, queries[:, :, None].expand(-1, -1, T))
        return self._softmax(q, allowed).sum(dim=1)

    @torch.no_grad()
    def head_sum(self) -> Tensor:
        """See `Probabilities`."""
        return self._softmax(self.q, self.allowed).sum(dim=1)

    def column_sums(self) -> Tensor:
        """See `Probabilities`."""
        return self.head_sum().sum(dim=1) / self.q.shape[1]

    def _softmax(self, q: Tensor, allowed: Tensor | None) -> Tensor:
        scores = (q * q.shape[-1] ** -0.5) @ self.k.transpose(-2, -1)
        if allowed is not None:
            scores = scores.masked_fill(~allowed[:, None], -torch.inf)
        return scores.softmax(dim=-1)


@dataclass(frozen=True)
class MapProbabilities:
    """Probabilities that a block had made anyway, detached: `all_BHTT`."""

    all_BHTT: Tensor

    def class_row(self) -> Tensor:
        """See `Probabilities`."""
        return self.all_BHTT[:, :, 0].mean(dim=1)

    def rows(self, queries: Tensor) -> Tensor:
        """See `Probabilities`."""
        total = self.head_sum()
        return total.gather(1, queries[:, :, None].expand(-1, -1, total.shape[2]))

    def head_sum(self) -> Tensor:
        """See `Probabilities`."""
        return self.all_BHTT.sum(dim=1)

    def column_sums(self) -> Tensor:
        """See `Probabilities`."""
        return self.all_BHTT.mean(dim=1).sum(dim=1)


def merge_heads(context_BHTE: Tensor) -> Tensor:
    """[B, T, H * E]."""
    return context_BHTE.transpose(1, 2).flatten(2)
