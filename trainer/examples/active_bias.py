"""Active Bias: emphasise examples of uncertain prediction (Chang et al. 2017, arXiv:1704.07433)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from host.errors import PeelVitError
from host.schedules import kept_count
from trainer.data.randomness import random_state
from trainer.examples.method import EpochPlan, ExampleMethod, Purpose, shuffled
from trainer.examples.shown import Rows


class ActiveBias(ExampleMethod):
    """Each epoch shows keep_ratio * n different examples, sampled by the variance of their predicted probability.

    The sampling form, SGD-SPV: with p_1 .. p_c the probabilities predicted for the label of example i at its c
    presentations so far,

        P(i) proportional to s_i + mean(s),   s_i = sqrt(v_i + v_i^2 / (c - 1)),   v_i = variance of p_1 .. p_c.

    The second term under the root is the uncertainty of the estimate, mean(s) keeps every example possible. An example
    shown less than twice has s_i = mean(s). The original samples n presentations an epoch with replacement; here
    keep_ratio * n without replacement, so that the keep ratio means what it means for the others, and keep ratio 1 is
    ordinary training. No loss weights: the bias is the point.

    Arguments:
        burn_in_fraction: part of the epochs, from the first, that show everything. No subset can be chosen by
            variance before something was shown; a tenth is our choice, the original's varies with the data set.
    """

    name = "active_bias"
    columns = ("probability",)
    settings = ("n", "keep_ratio", "seed", "burn_in_epochs")
    arrays = ("presentations", "sum", "sum_of_squares")

    def __init__(self, n: int, keep_ratio: float, epochs: int, seed: int, *, burn_in_fraction: float = 0.1) -> None:
        super().__init__(n, keep_ratio, epochs, seed)
        if not 0.0 <= burn_in_fraction <= 1.0:
            raise PeelVitError(f"the burn-in is {burn_in_fraction:g} of the epochs; give a number from 0 to 1")
        self.burn_in_epochs = max(1, round(burn_in_fraction * epochs))
        self.presentations = np.zeros(n, np.int64)
        self.sum = np.zeros(n, np.float64)
        self.sum_of_squares = np.zeros(n, np.float64)

    @property
    def recording(self) -> bool:
        """Always, if anything is left out."""
        return self.keep_ratio < 1.0

    def plan(self, epoch: int) -> EpochPlan:
        """The epoch's sample, shuffled."""
        if not self._sampling(epoch):
            return EpochPlan(shuffled(np.arange(self.n), self.seed, epoch))
        # The m smallest of independent exponential times with rates P are a sample without replacement by P.
        times = random_state(self.seed, Purpose.SAMPLE, epoch).standard_exponential(self.n) / self.odds()
        sample = np.argsort(times, kind="stable")[: kept_count(self.n, self.keep_ratio)]
        return EpochPlan(shuffled(np.sort(sample), self.seed, epoch))

    def _sampling(self, epoch: int) -> bool:
        return self.keep_ratio < 1.0 and epoch >= self.burn_in_epochs

    def odds(self) -> NDArray[np.float64]:
        """P up to a factor, [n], positive."""
        known = self.presentations > 1
        count = np.maximum(self.presentations, 2)
        variance = np.maximum(self.sum_of_squares / count - (self.sum / count) ** 2, 0.0)
        spread = np.sqrt(variance + variance**2 / (count - 1))
        mean = float(spread[known].mean()) if known.any() else 0.0
        odds: NDArray[np.float64] = np.where(known, spread, mean) + mean
        return odds if mean > 0.0 else np.ones(self.n)

    def _learn(self, epoch: int, rows: Rows | None) -> bool:
        if rows is not None:
            index, probability = rows["indices"], rows["probability"].astype(np.float64)
            self.presentations += np.bincount(index, minlength=self.n)
            self.sum += np.bincount(index, probability, self.n)
            self.sum_of_squares += np.bincount(index, probability**2, self.n)
        return self._sampling(epoch + 1)
