"""The random numbers of one update: a function of the run's seed, the update and the process, so nothing is saved."""

from __future__ import annotations

import numpy as np


def derived_seed(seed: int, update: int, rank: int) -> int:
    """The seed of update number `update` (from 0) in process `rank`, below 2**63."""
    state = np.random.SeedSequence((seed, update, rank)).generate_state(1, np.uint64)
    return int(state[0]) >> 1
