"""What a whole training run costs: its keep ratios fall update by update, and its examples are fewer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from host.errors import PeelVitError
from host.options import PAPER_WARMUP
from host.schedules import KeepRatio, check_ratio, kept_count
from trainer.keep import DENSE, Keep


@dataclass(frozen=True)
class TrainingRun:
    """A training run as far as its cost goes; evaluations are left out.

    Attributes:
        example_keep: part of the examples in training; constant, as the paper's remove-and-restore keeps it.
        keep: token and attention keep ratio in the end.
        epochs, train_images, batch_size: its length; the last batch of an epoch may be smaller.
        warmup: epochs between which both ratios fall from 1, by a cosine; None: the paper's part of the run.
    """

    example_keep: float = 1.0
    keep: Keep = DENSE
    epochs: int = 300
    train_images: int = 1_281_167
    batch_size: int = 512
    warmup: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_ratio(self.example_keep, "example keep ratio")
        for name in ("epochs", "train_images", "batch_size"):
            if getattr(self, name) < 1:
                raise PeelVitError(f"--{name.replace('_', '-')} is {getattr(self, name)}; give 1 or more")

    @property
    def images_per_epoch(self) -> int:
        """Images shown in an epoch."""
        return kept_count(self.train_images, self.example_keep)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer updates of an epoch."""
        return math.ceil(self.images_per_epoch / self.batch_size)

    @property
    def steps(self) -> int:
        """Optimizer updates of the run."""
        return self.epochs * self.steps_per_epoch

    def keep_at(self, step: int) -> Keep:
        """The ratios of update `step`."""
        start, end = self.warmup or (PAPER_WARMUP[0] * self.epochs, PAPER_WARMUP[1] * self.epochs)
        ratios = (
            KeepRatio.between_epochs(target, start, end, self.steps_per_epoch)(step)
            for target in (self.keep.tokens, self.keep.attention)
        )
        return Keep(*ratios)

    def spans(self, cost: Callable[[Keep], int]) -> list[tuple[int, int]]:
        """(cost, number of updates) for every different cost of a step, first to last.

        `cost` must not grow as ratios fall: then two updates of equal cost have nothing else between them.
        """
        return list(_spans(lambda step: cost(self.keep_at(step)), 0, self.steps - 1))

    @property
    def example_ratio(self) -> float:
        """Images shown over images of a run on all of the data."""
        return self.images_per_epoch / self.train_images

    def average(self, cost: Callable[[Keep], int]) -> float:
        """The mean cost of an update over the run."""
        return sum(value * steps for value, steps in self.spans(cost)) / self.steps


def _spans(cost: Callable[[int], int], first: int, last: int) -> Iterator[tuple[int, int]]:
    """Runs of equal values of a monotone function over first..last, neighbours possibly of equal value."""
    value = cost(first)
    if value == cost(last):
        yield value, last - first + 1
        return
    middle = (first + last) // 2
    yield from _spans(cost, first, middle)
    yield from _spans(cost, middle + 1, last)
