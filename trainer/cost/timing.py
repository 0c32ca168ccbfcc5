"""How long training steps take: dense and at every keep setting, one after another in every round of one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional

from trainer.keep import DENSE, Keep
from trainer.models.base import ImageClassifier
from trainer.timing import interleaved, ratios


@dataclass(frozen=True)
class StepTimes:
    """Seconds of a dense step (median), and of each keep setting the median over rounds of its time over dense."""

    dense_seconds: float
    ratios: dict[Keep, float]


def measure_steps(
    baseline: ImageClassifier,
    model: ImageClassifier,
    keeps: Sequence[Keep],
    images: Tensor,
    labels: Tensor,
    rounds: int,
) -> StepTimes:
    """Forward, loss, backward and AdamW's update on one batch, `rounds` times for each setting of `model`.

    Every round times a dense step of `baseline` too (the same model without a token method, and the teacher of methods
    that want one), and the ratios are taken within the rounds, so that a machine that slows down does not change them.
    Data loading is no part of it.
    """
    teacher = baseline if model.token_method.needs_teacher else None
    works: dict[Keep | None, Callable[[], None]] = {None: _step_of(baseline, DENSE, images, labels)}
    works |= {keep: _step_of(model, keep, images, labels, teacher) for keep in keeps}
    seconds = interleaved(works, rounds, images.device, "steps")
    over_dense = ratios(seconds, None)
    return StepTimes(median(seconds[None]), {keep: over_dense[keep] for keep in keeps})


def _step_of(
    model: ImageClassifier, keep: Keep, images: Tensor, labels: Tensor, teacher: ImageClassifier | None = None
) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)

    def step() -> None:
        taught = None
        if teacher is not None:
            with torch.no_grad():
                taught = teacher.eval()(images)
        model.train()
        output = model(images, keep)
        loss = functional.cross_entropy(output.logits, labels)
        loss = loss + sum(model.token_method.losses(output, labels, taught).values())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step
