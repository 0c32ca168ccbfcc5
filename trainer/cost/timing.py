"""How long training steps take: dense and at every keep setting, one after another in every round of one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.keep import DENSE, Keep

WARMUP_ROUNDS = 2


@dataclass(frozen=True)
class StepTimes:
    """Seconds of a dense step (median), and of each keep setting the median over rounds of its time over dense."""

    dense_seconds: float
    ratios: dict[Keep, float]


def measure_steps(
    model: nn.Module,
    keeps: Sequence[Keep],
    images: Tensor,
    labels: Tensor,
    rounds: int,
    teacher: nn.Module | None = None,
) -> StepTimes:
    """Forward, loss, backward and AdamW's update of `model` on one batch, `rounds` times for each setting.

    Every round times the dense step too, and the ratios are taken within the rounds, so that a machine that slows down
    does not change them. Data loading is no part of it.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    settings = [DENSE, *(keep for keep in dict.fromkeys(keeps) if keep != DENSE)]
    seconds: list[list[float]] = []
    model.train()
    for round_ in range(WARMUP_ROUNDS + rounds):
        times = [
            _timed(lambda k=keep: _step(model, optimizer, images, labels, k, teacher), images) for keep in settings
        ]
        if round_ >= WARMUP_ROUNDS:
            seconds.append(times)
    ratios = {keep: median(row[i] / row[0] for row in seconds) for i, keep in enumerate(settings)}
    return StepTimes(median(row[0] for row in seconds), ratios)


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    keep: Keep,
    teacher: nn.Module | None,
) -> None:
    output = model(images, keep)
    loss = functional.cross_entropy(output.logits, labels)
    if keep != DENSE:
        taught = None
        if teacher is not None:
            with torch.no_grad():
                taught = teacher(images)
        loss = loss + sum(model.token_method.losses(output, labels, taught).values())
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _timed(work: Callable[[], None], images: Tensor) -> float:
    """Seconds of `work`, by CUDA events where the images are on a GPU."""
    if not images.is_cuda:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    work()
    last.record()
    torch.cuda.synchronize(images.device)
    return first.elapsed_time(last) / 1000
