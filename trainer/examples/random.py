"""'Random' of the paper's Table 3: the same exchanges as the paper's selector, without looking."""

from __future__ import annotations

import numpy as np

from trainer.data.randomness import random_state
from trainer.examples.method import Purpose
from trainer.examples.shown import Rows
from trainer.examples.trilevel import RemoveAndRestore


class RandomExchange(RemoveAndRestore):
    """The paper's remove and restore with noise in place of every score: what leaves is drawn uniformly.

    Subset size, period, number and size of the exchanges, and what returns, are exactly those of `trilevel` with the
    same options, so a difference between the two is due to the scores.
    """

    name = "random"

    def _learn(self, epoch: int, rows: Rows | None) -> bool:
        if self.selector.recording and (epoch + 1) % self.selector.period_epochs == 0:
            subset = self.selector.subset()
            noise = random_state(self.seed, Purpose.NOISE, epoch).random_sample(subset.size)
            self.selector.record(subset, np.ones(subset.size, np.bool_), noise)
        return self.selector.end_epoch(epoch)
