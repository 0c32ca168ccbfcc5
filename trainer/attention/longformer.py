"""Longformer's pattern: a sliding window, and a global class token (Beltagy et al. 2020, sections 3.1; Table 3's row).

Patch i of K attends to the k nearest patches in the order of the sequence, itself among them, and to the class token,
which attends to all. The sequence is that of the surviving patches, row by row of the image. At its two ends
the window is moved inwards instead of cut off, so that every query has exactly k keys: it begins at
clamp(i - (k - 1) // 2, 0, K - k), and an even k has one more key behind the query than before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trainer.attention.connections import Connections, Probabilities
from trainer.attention.methods import AttentionMethod, Survivors
from trainer.attention.selected import SelectedKeys


def window_keys(patches: int, count: int, device: torch.device | None = None) -> Tensor:
    """The `count` keys of each of `patches` queries, ascending, [patches, count]."""
    first = (torch.arange(patches, device=device) - (count - 1) // 2).clamp(0, patches - count)
    return first[:, None] + torch.arange(count, device=device)


@dataclass(frozen=True)
class LongformerAttention(AttentionMethod):
    """The same window in every image. `way` is that of `trainer.attention.selected.SelectedKeys`."""

    name: ClassVar[str] = "longformer"
    way: str = "auto"

    def choose(
        self, probabilities: Probabilities, survivors: Survivors, count: int
    ) -> tuple[Connections, Tensor | None]:
        """See `trainer.attention.methods.AttentionMethod`."""
        kept = survivors.kept
        keys = window_keys(kept.shape[1], count, kept.device).expand(len(kept), -1, -1)
        return SelectedKeys(keys, survivors.extra, self.way), keys
