"""How well the model did on each image it was shown: what the example methods learn from.

A mixed image (mixup, cutmix) holds two examples. Scoring its prediction against one of the two labels would call a
perfect model wrong half of the time, and would make *easy* examples look forgotten. So

- the presentation counts for the example with the larger share, at equal shares for the slot's own, and
- the partner's class is taken out of the competition: it belongs in the prediction, so it is neither right nor wrong.

Everything is then read from the softmax over the classes that are left. A model that predicts the mixed label exactly
is right, with probability 1, loss 0 and error 0; an unmixed image is scored as always. With two classes, an image mixed
from both leaves one class only and is therefore always right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Mixed(Protocol):
    """What scoring reads of a `trainer.data.batch.MixedBatch`; every field is [B]."""

    @property
    def labels(self) -> Tensor:
        """Class of the slot's own example, int64."""

    @property
    def other_labels(self) -> Tensor:
        """Class of the example mixed into it, int64."""

    @property
    def share(self) -> Tensor:
        """Part of the image and of the label that is the slot's own, 0 to 1."""

    @property
    def indices(self) -> Tensor:
        """Position of the slot's own example in the training set, int64."""

    @property
    def other_indices(self) -> Tensor:
        """Position of the other example, int64."""


@dataclass(frozen=True)
class Presentations:
    """One batch as shown, each field [B], detached and on the device of the model.

    Attributes:
        indices: the example the presentation counts for, int64.
        correct: its class has the largest logit, bool.
        loss: cross-entropy to its class, without label smoothing.
        probability: predicted for its class.
        error_norm: EL2N, the Euclidean norm of (probabilities - one-hot label), 0 to sqrt(2).
        attention_variance: of `ModelOutput`, unchanged: the image's.
    """

    indices: Tensor
    correct: Tensor
    loss: Tensor
    probability: Tensor
    error_norm: Tensor
    attention_variance: Tensor


@torch.no_grad()
def score(logits: Tensor, batch: Mixed, attention_variance: Tensor) -> Presentations:
    """Score the predictions [B, classes] for `batch` by the rule above; no device synchronisation.

    Arguments:
        logits: the model's output for the images of `batch`, before its weights are updated.
        attention_variance: `ModelOutput.attention_variance` [B].
    """
    own = batch.share >= 0.5
    label = torch.where(own, batch.labels, batch.other_labels)
    partner = torch.where(own, batch.other_labels, batch.labels)
    excused = (batch.share > 0) & (batch.share < 1) & (partner != label)
    logits = _without(logits.float(), partner, excused)
    log_probability = logits.log_softmax(dim=1)
    log_of_label = _pick(log_probability, label)
    probability = log_of_label.exp()
    others = log_probability.exp().scatter(1, label[:, None], 0.0)
    return Presentations(
        indices=torch.where(own, batch.indices, batch.other_indices),
        correct=logits.argmax(dim=1) == label,
        loss=-log_of_label,
        probability=probability,
        error_norm=((1.0 - probability).square() + others.square().sum(dim=1)).sqrt(),
        attention_variance=attention_variance.detach(),
    )


def _pick(values: Tensor, column: Tensor) -> Tensor:
    """values[b, column[b]] for every b."""
    return values.gather(1, column[:, None]).squeeze(1)


def _without(logits: Tensor, column: Tensor, where: Tensor) -> Tensor:
    """`logits` with [b, column[b]] at minus infinity for every b with `where[b]`."""
    kept = _pick(logits, column).masked_fill(where, float("-inf"))
    return logits.scatter(1, column[:, None], kept[:, None])
