"""EL2N, the norm of the error early in training (Paul et al. 2021, arXiv:2107.07075)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainer.examples.shown import Rows
from trainer.examples.two_phase import TwoPhase


class El2n(TwoPhase):
    """Train on everything for `score_epochs` epochs, then on the examples with the highest mean error norm.

    The score of a presentation is || p(x) - y ||_2 with the predicted probabilities p and the one-hot label y. The
    original takes it at one epoch and averages over runs from ten initialisations; one run has the mean over all
    presentations of its first epochs instead. Examples never shown are kept.

    Arguments:
        score_epochs: epochs of the first phase; None is a tenth of the run (20 of 200 epochs, the original's choice).
    """

    name = "el2n"
    columns = ("error_norm",)
    arrays = (*TwoPhase.arrays, "error_sum", "presentations")

    def __init__(self, n: int, keep_ratio: float, epochs: int, seed: int, *, score_epochs: int | None = None) -> None:
        super().__init__(
            n, keep_ratio, epochs, seed, max(1, round(0.1 * epochs)) if score_epochs is None else score_epochs
        )
        self.error_sum = np.zeros(n, np.float64)
        self.presentations = np.zeros(n, np.int64)

    def _count(self, rows: Rows) -> None:
        self.error_sum += np.bincount(rows["indices"], rows["error_norm"], self.n)
        self.presentations += np.bincount(rows["indices"], minlength=self.n)

    def _scores(self) -> NDArray[np.float64]:
        return np.where(self.presentations > 0, self.error_sum / np.maximum(self.presentations, 1), np.inf)
