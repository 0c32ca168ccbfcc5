"""InfoBatch: unbiased random pruning of well-learned examples (Qin et al. 2024, arXiv:2303.04947)."""

from __future__ import annotations

import math

import numpy as np

from host.errors import PeelVitError
from trainer.data.randomness import random_state
from trainer.examples.method import EpochPlan, ExampleMethod, Indices, Purpose, shuffled
from trainer.examples.shown import Rows


class InfoBatch(ExampleMethod):
    """Each epoch leaves out, at random, a part of the examples whose last loss is below the mean of all last losses.

    The s examples below the mean form a stratum; ceil((1 - prune_ratio) s) of them are shown, each with the loss weight
    s / that number, which is the original's 1 / (1 - prune_ratio) but for rounding. So every example has an expected
    weight of exactly 1, and the weights of the stratum sum to s in every epoch. Examples not shown keep their last
    loss, examples never shown are not left out. The last epochs show everything, unweighted.

    The share of examples shown follows from the losses, so there is no keep ratio.

    Arguments:
        prune_ratio: part of the well-learned examples left out.
        prune_until: part of the epochs after which nothing is left out any more.
    """

    name = "infobatch"
    columns = ("loss",)
    settings = ("n", "seed", "prune_ratio", "stop_epoch")
    arrays = ("last_loss", "ended")

    def __init__(
        self,
        n: int,
        keep_ratio: float,
        epochs: int,
        seed: int,
        *,
        prune_ratio: float = 0.5,
        prune_until: float = 0.875,
    ) -> None:
        if keep_ratio != 1.0:
            raise PeelVitError(
                f"the example method 'infobatch' has no keep ratio, but it is {keep_ratio:g}; set it to 1 and choose "
                "how much is left out with the method's option prune_ratio"
            )
        super().__init__(n, keep_ratio, epochs, seed)
        if not 0.0 <= prune_ratio < 1.0:
            raise PeelVitError(f"the prune ratio of InfoBatch is {prune_ratio:g}; give a number from 0 to below 1")
        if not 0.0 <= prune_until <= 1.0:
            raise PeelVitError(f"InfoBatch would prune until {prune_until:g} of the epochs; give a number from 0 to 1")
        self.prune_ratio = prune_ratio
        self.stop_epoch = math.ceil(prune_until * epochs)
        self.last_loss = np.full(n, np.nan, np.float32)  # not a number: never shown
        self.ended = np.zeros((), np.int64)  # epochs

    @property
    def recording(self) -> bool:
        """As long as a later epoch leaves something out."""
        return self._pruning(int(self.ended) + 1)

    def plan(self, epoch: int) -> EpochPlan:
        """The harder examples and the epoch's sample of the easier ones, shuffled, with their loss weights."""
        easy = self.well_learned()
        if not easy.size or not self._pruning(epoch):
            return EpochPlan(shuffled(np.arange(self.n), self.seed, epoch))
        kept = math.ceil(round(easy.size * (1.0 - self.prune_ratio), 9))
        weights = np.ones(self.n, np.float32)
        weights[easy] = 0.0
        chosen = random_state(self.seed, Purpose.PRUNE, epoch).permutation(easy)[:kept]
        weights[chosen] = easy.size / kept
        order = shuffled(np.flatnonzero(weights), self.seed, epoch)
        return EpochPlan(order, weights[order])

    def well_learned(self) -> Indices:
        """Examples whose last loss is below the mean of the last losses of all that were shown, ascending."""
        known = self.last_loss[~np.isnan(self.last_loss)]
        if not known.size:
            return np.empty(0, np.int64)
        mean = np.float32(known.mean(dtype=np.float64))  # in the type of the losses: equal ones are not below it
        easy: Indices = np.flatnonzero(self.last_loss < mean)  # false where not a number
        return easy

    def _pruning(self, epoch: int) -> bool:
        return self.prune_ratio > 0.0 and epoch < self.stop_epoch

    def _learn(self, epoch: int, rows: Rows | None) -> bool:
        if rows is not None:
            self.last_loss[rows["indices"]] = rows["loss"]  # of equal indices the last one stays
        self.ended[...] = epoch + 1
        return self._pruning(epoch) or self._pruning(epoch + 1)
