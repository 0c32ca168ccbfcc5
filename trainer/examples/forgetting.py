"""Forgetting events in two phases (Toneva et al. 2019, arXiv:1812.05159)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from host.schedules import check_ratio
from trainer.examples.shown import Rows
from trainer.examples.two_phase import TwoPhase


class Forgetting(TwoPhase):
    """Train on everything for `score_fraction` of the run, then on the examples forgotten most often.

    Example i is forgotten when acc_i(t) > acc_i(t+1) for two consecutive presentations t. Examples that were never
    right, and those never shown, count as forgotten infinitely often. The original trains again from scratch; here, as
    in the paper's Table 3, the second phase continues the run.

    Arguments:
        score_fraction: part of the epochs in the first phase. The paper's Table 3 reports 16.1 % of the time saved at
            keep ratio 0.8; (1 - f) (1 - 0.8) = 0.161 gives f = 0.195, so the default is 0.2.
    """

    name = "forgetting"
    columns = ("correct",)
    arrays = (*TwoPhase.arrays, "last_correct", "learned", "forgetting", "presentations")

    def __init__(self, n: int, keep_ratio: float, epochs: int, seed: int, *, score_fraction: float = 0.2) -> None:
        check_ratio(score_fraction, "part of the run in which forgetting is counted")
        super().__init__(n, keep_ratio, epochs, seed, max(1, round(score_fraction * epochs)))
        self.last_correct = np.zeros(n, np.bool_)
        self.learned = np.zeros(n, np.bool_)
        self.forgetting = np.zeros(n, np.int64)
        self.presentations = np.zeros(n, np.int64)

    def _count(self, rows: Rows) -> None:
        by_example = np.argsort(rows["indices"], kind="stable")
        index, right = rows["indices"][by_example], rows["correct"][by_example]
        starts = np.ones(index.size, np.bool_)  # first presentation of an example in these rows
        starts[1:] = index[1:] != index[:-1]
        was_right = np.where(starts, self.last_correct[index], np.roll(right, 1))
        self.forgetting += np.bincount(index[was_right & ~right], minlength=self.n)
        self.presentations += np.bincount(index, minlength=self.n)
        self.learned[index[right]] = True
        self.last_correct[index] = right  # of equal indices the last one stays

    def _scores(self) -> NDArray[np.float64]:
        return np.where(self.learned, self.forgetting, np.inf)
