"""The sequence of a training run: what was shown and at which rates, step by step, so that another can follow it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.checkpoint import replaced_file
from host.errors import PeelVitError
from host.training import Step

SEQUENCE_NAME = "sequence.npz"


@dataclass(frozen=True)
class Sequence:
    """Optimizer steps S of B images each.

    Attributes:
        examples: int64 [S, B], positions in the training split, in the order shown.
        epoch: int64 [S]; with the seed and the example it determines the augmentation.
        learning_rate, token_keep, attention_keep: float64 [S].
    """

    examples: NDArray[np.int64]
    epoch: NDArray[np.int64]
    learning_rate: NDArray[np.float64]
    token_keep: NDArray[np.float64]
    attention_keep: NDArray[np.float64]

    def of_epoch(self, epoch: int) -> NDArray[np.int64]:
        """All examples of one epoch in their order."""
        return self.examples[self.epoch == epoch].reshape(-1)

    def newcomers(self) -> list[int]:
        """How many examples of each epoch from the second on were not in the one before."""
        shown = [self.of_epoch(epoch) for epoch in range(int(self.epoch.max()) + 1)]
        return [int((~np.isin(now, before)).sum()) for before, now in pairwise(shown)]


class Recorder:
    """A callback of `host.training.train` that notes every step."""

    def __init__(self) -> None:
        self._steps: list[Step] = []

    def __call__(self, step: Step) -> None:
        """Note one step."""
        self._steps.append(step)

    def sequence(self) -> Sequence:
        """What was noted so far."""
        steps = self._steps
        return Sequence(
            np.array([step.examples for step in steps], np.int64),
            np.array([step.epoch for step in steps], np.int64),
            np.array([step.learning_rate for step in steps], np.float64),
            np.array([step.sparsity.token_keep for step in steps], np.float64),
            np.array([step.sparsity.attention_keep for step in steps], np.float64),
        )


def save_sequence(folder: Path, sequence: Sequence) -> None:
    """Write `sequence` into the folder of its run."""
    with replaced_file(folder / SEQUENCE_NAME) as file:
        np.savez(file, **vars(sequence))


def load_sequence(folder: Path) -> Sequence:
    """Read back what `save_sequence` wrote; `PeelVitError` when it is not there."""
    path = folder / SEQUENCE_NAME
    try:
        with np.load(path, allow_pickle=False) as archive:
            return Sequence(**archive)
    except FileNotFoundError:
        raise PeelVitError(f"there is no {path}; record the run with `python -m sim.demo.recorded`") from None
