"""Soft targets of mixed images."""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.data.batch import MixedBatch


def soft_targets(batch: MixedBatch, classes: int, smoothing: float = 0.0) -> Tensor:
    """Target probabilities float32 [B, classes] of a mixed batch, equal to timm's `Mixup`.

    t = s * y(label) + (1 - s) * y(other label), with s the share and y(c) the smoothed one-hot vector: 1 - e + e/K at
    c and e/K elsewhere for smoothing e and K classes (Szegedy et al., "Rethinking the Inception architecture", 2016;
    Zhang et al., "mixup", 2018).
    """
    targets = torch.full((len(batch), classes), smoothing / classes, device=batch.share.device)
    on = (1.0 - smoothing) * batch.share.float()[:, None]
    targets.scatter_add_(1, batch.labels[:, None], on)
    return targets.scatter_add_(1, batch.other_labels[:, None], (1.0 - smoothing) - on)
