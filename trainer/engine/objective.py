"""The loss of a micro-batch: model, soft targets, loss weights and the token method's own losses in one module.

One module, because DistributedDataParallel looks at the forward pass of what it wraps: a predictor's parameters that
only a loss uses must be used inside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.augment.targets import soft_targets
from trainer.data.batch import MixedBatch
from trainer.keep import Keep
from trainer.models.base import ImageClassifier
from trainer.models.output import ModelOutput

DENSE_HEAD_WEIGHT = 0.5
"""Weight of the patch tokens' own predictions (LV-ViT: Jiang et al., "All Tokens Matter", 2021, beta of eq. 4)."""


@dataclass(frozen=True)
class Outcome:
    """`loss` is to be minimised; the rest is detached: the logits [B, classes] in float32 and the example selector's
    tie-break [B]."""

    loss: Tensor
    logits: Tensor
    attention_variance: Tensor


class Objective(nn.Module):
    """Mean weighted cross entropy against the soft targets of mixed images, plus the losses of the token method."""

    def __init__(self, model: ImageClassifier, classes: int, smoothing: float) -> None:
        super().__init__()
        self.model, self.classes, self.smoothing = model, classes, smoothing

    def forward(self, batch: MixedBatch, keep: Keep, teacher: ModelOutput | None = None) -> Outcome:
        """The loss of one micro-batch, a mean over its images."""
        output = self.model(batch.images, keep)
        targets = soft_targets(batch, self.classes, self.smoothing)
        losses = functional.cross_entropy(output.logits.float(), targets, reduction="none")
        if output.token_logits is not None:
            losses = losses + DENSE_HEAD_WEIGHT * _dense_head_loss(output.token_logits, targets)
        loss = (losses if batch.weights is None else losses * batch.weights).mean()
        extra = self.model.token_method.losses(output, batch.labels, teacher)
        return Outcome(
            sum(extra.values(), start=loss), output.logits.detach().float(), output.attention_variance.detach()
        )


def _dense_head_loss(token_logits_BTK: Tensor, targets_BK: Tensor) -> Tensor:
    """Mean cross entropy [B] of the patch tokens, whose target is the image's where no token labels were made."""
    return torch.einsum("btk,bk->bt", -token_logits_BTK.float().log_softmax(dim=2), targets_BK).mean(dim=1)
