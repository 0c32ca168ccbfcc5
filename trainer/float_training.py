"""Training in floating point: the reference that fixed-point training is compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from host.errors import PeelVitError
from trainer.keep import DENSE, KeepSetting
from trainer.models.vit import VisionTransformer

ArrayLike = Tensor | np.ndarray


@dataclass(frozen=True)
class StepResult:
    """One training step, on the weights before the update: mean loss; per example [B] whether the prediction was
    right (bool) and the variance of the last block's head-mean class-token row over the surviving patches."""

    loss: float
    correct: Tensor
    attention_variance: Tensor


@dataclass(frozen=True)
class Evaluation:
    """Mean loss (without label smoothing) and share of right predictions over `examples` examples."""

    loss: float
    accuracy: float
    examples: int


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Mean cross entropy over the batch against (1 - smoothing) of the label and smoothing / classes of every class."""
    return functional.cross_entropy(logits, labels, label_smoothing=smoothing)


class FloatTrainer:
    """Trains a model with SGD momentum (v = mu v + g + wd w; w -= lr v) or AdamW, both in torch's semantics.

    Biases, LayerNorm parameters, the class token and the position embedding are not decayed. Inputs and labels may be
    tensors or numpy arrays; they are moved to the model's device and number format.
    """

    def __init__(
        self,
        model: VisionTransformer,
        lr_schedule: Callable[[int], float],
        optimizer: Literal["momentum", "adamw"] = "momentum",
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        label_smoothing: float = 0.0,
    ) -> None:
        """`lr_schedule` gives the learning rate of each step, counted from 0."""
        self.model = model
        self.lr_schedule = lr_schedule
        self.label_smoothing = label_smoothing
        self.step_count = 0
        groups = _decay_groups(model, weight_decay)
        if optimizer == "momentum":
            self.optimizer: torch.optim.Optimizer = torch.optim.SGD(groups, lr=0.0, momentum=momentum)
        elif optimizer == "adamw":
            self.optimizer = torch.optim.AdamW(groups, lr=0.0)
        else:
            raise PeelVitError(f"there is no optimizer {optimizer!r}; choose momentum or adamw")

    def step(
        self,
        inputs: ArrayLike,
        labels: ArrayLike,
        keep: KeepSetting = DENSE,
    ) -> StepResult:
        """One optimizer step on images [B, C, H, W] or patches [B, N, C * P * P] and labels [B].

        `keep` is that of `VisionTransformer.forward`.
        """
        inputs, labels = self._on_model(inputs, labels)
        self.model.train()
        output = self.model(inputs, keep)
        loss = smoothed_cross_entropy(output.logits, labels, self.label_smoothing)
        if not math.isfinite(loss.item()):
            raise PeelVitError(f"the loss is {loss.item()} at step {self.step_count}; lower the learning rate")
        self.optimizer.zero_grad()
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr_schedule(self.step_count)
        self.optimizer.step()
        self.step_count += 1
        return StepResult(loss.item(), output.logits.argmax(dim=1) == labels, output.attention_variance)

    @torch.no_grad()
    def evaluate(
        self,
        batches: Iterable[tuple[ArrayLike, ArrayLike]],
        keep: KeepSetting = DENSE,
    ) -> Evaluation:
        """Loss and accuracy over (inputs, labels) batches."""
        self.model.eval()
        loss, correct, examples = 0.0, 0, 0
        for batch in batches:
            inputs, labels = self._on_model(*batch)
            logits = self.model(inputs, keep).logits
            loss += functional.cross_entropy(logits, labels, reduction="sum").item()
            correct += int((logits.argmax(dim=1) == labels).sum())
            examples += len(labels)
        if not examples:
            raise PeelVitError("there are no examples to evaluate on; check the validation folder")
        return Evaluation(loss / examples, correct / examples, examples)

    def _on_model(self, inputs: ArrayLike, labels: ArrayLike) -> tuple[Tensor, Tensor]:
        weight = self.model.head.weight
        inputs = torch.as_tensor(inputs).to(weight.device, weight.dtype)
        return inputs, torch.as_tensor(labels).to(weight.device, torch.int64)


def _decay_groups(model: VisionTransformer, weight_decay: float) -> list[dict[str, object]]:
    decayed: list[Tensor] = []
    plain: list[Tensor] = []
    for name, parameter in model.named_parameters():
        (plain if parameter.ndim == 1 or name in model.no_weight_decay() else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
