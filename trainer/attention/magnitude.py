"""Magnitude pruning of attention: each head's query keeps the keys of its largest scores (Table 3's row "Magnitude").

The paper names no source; this is pruning by magnitude, carried over to the attention map. Where the paper's own
method shares one choice among the heads and among the blocks up to the next selector, here every block and head
chooses from its own scores. These must all be computed first, so nothing is saved; what is lost is only accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from trainer.attention.connections import Connections, LazyProbabilities, Probabilities, merge_heads
from trainer.attention.methods import AttentionMethod, Survivors
from trainer.record import Recorder
from trainer.selection import largest


@dataclass(frozen=True)
class MagnitudeConnections:
    """Each patch query's `count` patch keys of the largest scores, head by head, its own among them.

    `prefix` tokens in front and `extra` behind the patches attend to all and are attended to by all.
    """

    count: int
    prefix: int = 1
    extra: int = 0

    def attend(self, q: Tensor, k: Tensor, v: Tensor, record: Recorder) -> tuple[Tensor, Probabilities]:
        """See `trainer.attention.connections.Connections`."""
        context = record("softmax", self.probabilities(q, k)) @ v
        return merge_heads(context), MagnitudeProbabilities(q.detach(), k.detach(), connections=self)

    def probabilities(self, q: Tensor, k: Tensor) -> Tensor:
        """[B, H, T, T], 0 where a connection was pruned."""
        scores = (q * q.shape[-1] ** -0.5) @ k.mT
        return scores.masked_fill(~self.allowed(scores.detach()), -torch.inf).softmax(dim=-1)

    def allowed(self, scores_BHTT: Tensor) -> Tensor:
        """The connections that are kept, bool [B, H, T, T]; among equal scores the lowest key wins."""
        patches = slice(self.prefix, scores_BHTT.shape[2] - self.extra)
        scores_BHKK = scores_BHTT[:, :, patches, patches]
        itself_KK = torch.eye(scores_BHKK.shape[3], dtype=torch.bool, device=scores_BHKK.device)
        chosen = largest(scores_BHKK.masked_fill(itself_KK, torch.inf), self.count)
        kept_BHKK = torch.zeros_like(scores_BHKK, dtype=torch.bool).scatter(3, chosen, True)
        return functional.pad(kept_BHKK, (self.prefix, self.extra) * 2, value=True)


@dataclass(frozen=True, kw_only=True)
class MagnitudeProbabilities(LazyProbabilities):
    """Probabilities under a mask for every head; the class token's row is dense as ever."""

    connections: MagnitudeConnections

    @torch.no_grad()
    def head_sum(self) -> Tensor:
        """See `Probabilities`."""
        return self.connections.probabilities(self.q, self.k).sum(dim=1)

    def rows(self, queries: Tensor) -> Tensor:
        """See `Probabilities`."""
        whole = self.head_sum()
        return whole.gather(1, queries[:, :, None].expand(-1, -1, whole.shape[2]))


@dataclass(frozen=True)
class MagnitudeAttention(AttentionMethod):
    """The blocks behind a selector keep each query's largest scores. No list of keys comes of it."""

    name: ClassVar[str] = "magnitude"

    def choose(
        self, probabilities: Probabilities, survivors: Survivors, count: int
    ) -> tuple[Connections, Tensor | None]:
        """See `trainer.attention.methods.AttentionMethod`."""
        return MagnitudeConnections(count, survivors.prefix, survivors.extra), None
