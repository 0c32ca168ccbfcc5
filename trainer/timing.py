"""Seconds of pieces of work that are compared: one after another in every round, so a slow moment hits them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from statistics import median
from typing import TypeVar

import numpy as np
import torch
from tqdm import tqdm

WARMUP_ROUNDS = 2

Name = TypeVar("Name", bound=Hashable)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of `work`, by CUDA events where `device` is a GPU."""
    if device.type != "cuda":
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    work()
    last.record()
    torch.cuda.synchronize(device)
    return first.elapsed_time(last) / 1000


def interleaved(
    works: Mapping[Name, Callable[[], object]], rounds: int, device: torch.device, title: str = ""
) -> dict[Name, list[float]]:
    """Seconds of each work in every round, after rounds that are not counted.

    Each round begins with another work, so that none always follows the same one.
    """
    seconds: dict[Name, list[float]] = {name: [] for name in works}
    for number in tqdm(range(WARMUP_ROUNDS + rounds), title, unit="round", disable=None, leave=False):
        first = number % len(works)
        for name in [*works][first:] + [*works][:first]:
            spent = seconds_of(works[name], device)
            if number >= WARMUP_ROUNDS:
                seconds[name].append(spent)
    return seconds


def quartiles(own: Sequence[float], base: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile over the rounds of one work's time over another's of the same round."""
    low, middle, high = np.quantile(np.divide(own, base), (0.25, 0.5, 0.75))
    return float(low), float(middle), float(high)


def ratios(seconds: Mapping[Name, list[float]], to: Name) -> dict[Name, float]:
    """Median over the rounds of each work's time over that of `to` in the same round."""
    return {
        name: median(own / base for own, base in zip(times, seconds[to], strict=True))
        for name, times in seconds.items()
    }
