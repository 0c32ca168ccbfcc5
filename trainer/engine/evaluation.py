"""Accuracy on held-out images at the keep ratios of the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from host.errors import PeelVitError
from host.stop import Stopped
from trainer.data.evaluation import hits
from trainer.engine.precision import Precision
from trainer.keep import Keep

Batches = Iterable[tuple[Tensor, Tensor, Tensor]]


@dataclass(frozen=True)
class Evaluation:
    """Mean cross entropy without smoothing, percentages of images whose label is the best or among the five best."""

    loss: float
    top1: float
    top5: float
    images: int
    seconds: float


def evaluate(
    model: nn.Module,
    batches: Batches,
    keep: Keep,
    precision: Precision,
    total: Callable[[Tensor], Tensor] = lambda sums: sums,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Evaluate (images normalised [B, C, H, W], labels [B], mask [B] of real images) batches.

    Labels [B, L] are those that are right where an image may have several (ImageNet ReaL), -1 in unused places. `total`
    adds sums over the processes, each of which has a share of the images.
    Raises `Stopped` when asked to stop.
    """
    began, training = time.perf_counter(), model.training
    model.eval()
    sums = None
    try:
        for images, labels, mask in batches:
            with torch.no_grad(), precision.autocast():
                logits = model(images, keep).logits.float()
            new = _sums(logits, labels, mask)
            sums = new if sums is None else sums + new
            if stop_requested():
                raise Stopped
    finally:
        model.train(training)
    if sums is None:
        sums = torch.zeros(4, dtype=torch.float64, device=next(model.parameters()).device)
    loss, top1, top5, count = total(sums).tolist()
    if not count:
        raise PeelVitError("there are no images to evaluate; check the held-out part of the data set")
    return Evaluation(loss / count, 100.0 * top1 / count, 100.0 * top5 / count, int(count), time.perf_counter() - began)


def _sums(logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Sums over the images: loss, best right, one of five best right, images; float64 [4]."""
    right = labels.reshape(len(labels), -1)  # -1 where an image has fewer right labels than another
    likelihood = logits.log_softmax(dim=1).gather(1, right.clamp(min=0)).masked_fill(right < 0, -torch.inf)
    columns = (-likelihood.logsumexp(dim=1), hits(logits, labels), hits(logits, labels, 5), mask)
    return torch.stack([torch.where(mask, column.double(), 0.0).sum() for column in columns])
