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
    baseline: nn.Module, model: nn.Module, keeps: Sequence[Keep], images: Tensor, labels: Tensor, rounds: int
) -> StepTimes:
    """Forward, loss, backward and AdamW's update on one batch, `rounds` times for each setting of `model`.

    Every round times a dense step of `baseline` too (the same model without a token method, and the teacher of methods
    that want one), and the ratios are taken within the rounds, so that a machine that slows down does not change them.
    Data loading is no part of it.
    """
    teacher = baseline if model.token_method.needs_teacher else None
    settings = list(dict.fromkeys(keeps))
    work = [_step_of(baseline, DENSE, images, labels)]
    work += [_step_of(model, keep, images, labels, teacher) for keep in settings]
    seconds: list[list[float]] = []
    for round_ in range(WARMUP_ROUNDS + rounds):
        times = [_timed(step, images) for step in work]
        if round_ >= WARMUP_ROUNDS:
            seconds.append(times)
    ratios = {keep: median(row[i] / row[0] for row in seconds) for i, keep in enumerate(settings, 1)}
    return StepTimes(median(row[0] for row in seconds), ratios)


def _step_of(
    model: nn.Module, keep: Keep, images: Tensor, labels: Tensor, teacher: nn.Module | None = None
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
