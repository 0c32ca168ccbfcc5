"""Methods in two phases: show everything and keep a score, then train on the examples with the highest scores."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from host.errors import PeelVitError
from host.schedules import kept_count
from trainer.data.randomness import random_state
from trainer.examples.method import EpochPlan, ExampleMethod, Purpose, shuffled
from trainer.examples.shown import Rows


class TwoPhase(ExampleMethod):
    """All examples for `score_epochs` epochs, then for the rest of the run the keep_ratio with the highest scores.

    Equal scores are put in a random order, because the order of a data set is often that of its classes. The time saved
    is (1 - score_epochs / epochs) * (1 - keep_ratio).
    """

    settings = ("n", "keep_ratio", "seed", "score_epochs")
    arrays: ClassVar[tuple[str, ...]] = ("in_subset", "chosen")

    def __init__(self, n: int, keep_ratio: float, epochs: int, seed: int, score_epochs: int) -> None:
        super().__init__(n, keep_ratio, epochs, seed)
        if score_epochs < 1:
            raise PeelVitError(f"the examples would be scored for {score_epochs} epochs; give at least 1")
        self.score_epochs = score_epochs
        self.in_subset = np.ones(n, np.bool_)
        self.chosen = np.zeros((), np.bool_)

    @property
    def recording(self) -> bool:
        """Until the subset is chosen, if anything is to be left out."""
        return self.keep_ratio < 1.0 and not self.chosen

    def plan(self, epoch: int) -> EpochPlan:
        """The examples of the phase, shuffled."""
        return EpochPlan(shuffled(np.flatnonzero(self.in_subset), self.seed, epoch))

    def _learn(self, epoch: int, rows: Rows | None) -> bool:
        if rows is None:
            return False
        self._count(rows)
        if epoch + 1 < self.score_epochs:
            return False
        at_random = random_state(self.seed, Purpose.TIES, 0).permutation(self.n)
        ranking = at_random[np.argsort(-self._scores()[at_random], kind="stable")]
        self.in_subset[ranking[kept_count(self.n, self.keep_ratio) :]] = False
        self.chosen[...] = True
        return not self.in_subset.all()

    @abstractmethod
    def _count(self, rows: Rows) -> None:
        """Add the presentations of an epoch to the statistics."""

    @abstractmethod
    def _scores(self) -> NDArray[np.float64]:
        """How much each example is worth keeping, [n]; infinite where nothing is known against it."""
