"""Random numbers that are a function of named words alone: nothing to save, nothing to lose on a resume."""

from __future__ import annotations

import numpy as np


def random_state(*words: int) -> np.random.RandomState:
    """A generator that depends on `words` (each 0 or more) alone and shares nothing with the global ones.

    `RandomState` rather than `Generator`, because NumPy promises that its streams never change between versions.
    """
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(words)))
