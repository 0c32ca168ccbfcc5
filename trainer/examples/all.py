"""Every example in every epoch: what the other methods are compared with."""

from __future__ import annotations

import numpy as np

from host.errors import PeelVitError
from trainer.examples.method import EpochPlan, ExampleMethod, shuffled


class AllExamples(ExampleMethod):
    """The whole data set, shuffled as `host.examples.ExampleSelector` shuffles it at keep ratio 1."""

    name = "all"

    def __init__(self, n: int, keep_ratio: float, epochs: int, seed: int) -> None:
        if keep_ratio != 1.0:
            raise PeelVitError(
                f"the example method 'all' leaves nothing out, but the example keep ratio is {keep_ratio:g}; "
                "set it to 1, or choose another method"
            )
        super().__init__(n, keep_ratio, epochs, seed)

    def plan(self, epoch: int) -> EpochPlan:
        """Everything, shuffled."""
        return EpochPlan(shuffled(np.arange(self.n), self.seed, epoch))
