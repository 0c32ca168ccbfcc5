"""What an example method is: it plans each epoch from what the model showed in the epochs before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from host.errors import CheckpointError, PeelVitError
from host.schedules import check_ratio
from trainer.data.randomness import random_state
from trainer.examples.shown import Rows, Shown
from trainer.scoring import Presentations

Indices = NDArray[np.int64]
State = dict[str, NDArray[Any]]


class Purpose(IntEnum):
    """Keeps the random streams of one seed apart; 0 to 2 are those of `host.examples`."""

    ORDER = 1
    NOISE = 3
    TIES = 4
    SAMPLE = 5
    PRUNE = 6


def shuffled(subset: Indices, seed: int, epoch: int) -> Indices:
    """`subset` in the order of `epoch`: for the whole data set, that of `host.examples.ExampleSelector`."""
    order: Indices = random_state(seed, Purpose.ORDER, epoch).permutation(subset)
    return order


@dataclass(frozen=True)
class EpochPlan:
    """One epoch, the same on every rank.

    Attributes:
        order: examples in the order of their presentation, int64 [m].
        weights: loss weight of each presentation, float32 [m]; None for all ones.
    """

    order: Indices
    weights: NDArray[np.float32] | None = None


class ExampleMethod(ABC):
    """Chooses the examples of each epoch; all random numbers are functions of (seed, purpose, number).

    A method is created alike on every rank and stays alike: what the ranks showed is gathered before it is used.

    Class attributes of a method:
        name: in the registry.
        columns: fields of `Presentations` that it learns from; with none, nothing is recorded.
        settings: attributes, all numbers, that a resumed run must share.
        arrays: attributes, all arrays, that change while it runs.
    """

    name: ClassVar[str]
    columns: ClassVar[tuple[str, ...]] = ()
    settings: ClassVar[tuple[str, ...]] = ("n", "keep_ratio", "seed")
    arrays: ClassVar[tuple[str, ...]] = ()

    def __init__(self, n: int, keep_ratio: float, epochs: int, seed: int) -> None:
        """Arguments: examples in the data set, part of them to show an epoch, epochs of the run, the seed.

        Raises `PeelVitError` for values that cannot work.
        """
        check_ratio(keep_ratio, "example keep ratio")
        if n < 1:
            raise PeelVitError("the training set is empty; give a data set with at least one image")
        if epochs < 1:
            raise PeelVitError(f"the run has {epochs} epochs; train for at least 1")
        if seed < 0:
            raise PeelVitError(f"the seed is {seed}; give a whole number that is not negative")
        self.n, self.keep_ratio, self.epochs, self.seed = n, keep_ratio, epochs, seed
        self._shown = Shown(self.columns, n)

    @abstractmethod
    def plan(self, epoch: int) -> EpochPlan:
        """The presentations of `epoch` (counted from 0): a function of the state after the epoch before."""

    @property
    def recording(self) -> bool:
        """Whether what is shown now can still change a plan; the same on every rank."""
        return bool(self.columns)

    def record(self, shown: Presentations, step: int | None = None) -> None:
        """Note what one rank showed in one step, on the device and without waiting for it.

        Ranks call it equally often. Calls with the same number `step` (micro-batches) belong to one step; without it
        every call is a step of its own.
        """
        if self.recording:
            self._shown.append(shown, step)

    def end_epoch(self, epoch: int) -> bool:
        """Learn from what was shown in `epoch`, now over; True if the next epoch shows another subset. Collective."""
        return self._learn(epoch, self._shown.take() if self.recording else None)

    def _learn(self, epoch: int, rows: Rows | None) -> bool:
        """Update from the presentations of all ranks in the order shown, None when not recording."""
        return False

    def state_dict(self) -> State:
        """Everything a resume needs, also in the midst of an epoch, as copies; any number of ranks may continue it.

        Collective within an epoch: what the ranks showed so far is gathered. Between epochs one rank may call it alone.
        """
        state: State = {"method": np.frombuffer(self.name.encode(), np.uint8).copy()}
        if self.columns:
            state["shown"] = self._shown.gathered()
        return state | self._state()

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from `state_dict()`; `CheckpointError` when it is of another method or settings, or incomplete."""
        of = bytes(np.asarray(self._entry(state, "method"), np.uint8)).decode(errors="replace")
        if of != self.name:
            raise CheckpointError(
                f"the checkpoint was made with the example method '{of}', this run uses '{self.name}'; "
                "resume with the checkpoint's method"
            )
        self._load_state(state)
        if self.columns:
            self._shown.restore(self._entry(state, "shown"))

    def _state(self) -> State:
        state = {name: np.asarray(getattr(self, name)) for name in self.settings}
        return state | {name: getattr(self, name).copy() for name in self.arrays}

    def _load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        for name in self.settings:
            if self._entry(state, name) != getattr(self, name):
                raise CheckpointError(
                    f"the checkpoint was made with {name} = {state[name]} for the example method '{self.name}', this "
                    f"run has {getattr(self, name)}; resume with the checkpoint's setting"
                )
        for name in self.arrays:
            own, saved = getattr(self, name), self._entry(state, name)
            if saved.shape != own.shape:
                raise CheckpointError(
                    f"'{name}' of the example method in the checkpoint has shape {saved.shape}, not {own.shape}; "
                    "resume from another checkpoint"
                )
            own[...] = saved

    @staticmethod
    def _entry(state: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
        if name not in state:
            raise CheckpointError(f"the example method's state lacks '{name}'; resume from another checkpoint")
        return np.asarray(state[name])
