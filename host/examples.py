"""Example-level sparsity: which training images are shown, by the paper's attention-aware remove-and-restore rule.

Training starts on a random subset of the data set. Every `period_epochs` epochs the least informative examples leave it
and as many come back from those outside, so its size never changes. What is least informative is decided by what was
seen since the last exchange: few forgetting events first, then a low variance of the class token's attention.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from host.errors import CheckpointError, PeelVitError
from host.schedules import check_ratio, kept_count

Indices = NDArray[np.int64]

NEVER_CORRECT = np.iinfo(np.int64).max - 1
"""Forgetting count of an example seen but never right: harder than any that was ever learned."""

NEVER_SEEN = np.iinfo(np.int64).max
"""Forgetting count of an example not shown since the last exchange: nothing is known against it, so it leaves last."""

# Purposes keep the random streams of one seed apart.
_INITIAL, _ORDER, _RESTORE = range(3)

_SETTINGS = ("n", "keep_ratio", "period_epochs", "remove_fraction", "iterations", "seed")
_ARRAYS = ("in_subset", "waiting", "last_correct", "learned", "forgetting", "presentations", "variance_sum")


def _random(seed: int, purpose: int, number: int) -> np.random.RandomState:
    """A generator that is a function of its arguments alone: nothing to save, nothing to lose on a resume.

    `RandomState` rather than `Generator`, because NumPy promises that its streams never change between versions.
    """
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence((seed, purpose, number))))


class ExampleSelector:
    """Chooses the training subset of a data set of `n` examples and keeps its statistics.

    Arguments:
        n: examples in the whole data set; they are named by their index from 0 to n - 1.
        keep_ratio: part of the data set in training, in (0, 1]; 1.0 switches everything off at no cost.
        period_epochs: epochs between two exchanges (the paper: 30).
        remove_fraction: part of the *data set* exchanged each time (the paper: 0.05), at most 1 - keep_ratio.
        iterations: number of exchanges; None is the fewest after which every example initially removed was in
            training, m/n of the paper. (The paper itself takes 3 for 10 % removed and 5 for 20 %.)
        seed: the one source of the initial split, the shuffling and the restoring.

    Raises `PeelVitError` for settings that cannot work.
    """

    def __init__(
        self,
        n: int,
        keep_ratio: float,
        *,
        period_epochs: int = 30,
        remove_fraction: float = 0.05,
        iterations: int | None = None,
        seed: int = 0,
    ) -> None:
        _check_settings(n, keep_ratio, period_epochs, remove_fraction, iterations, seed)
        self.n, self.keep_ratio, self.period_epochs = n, keep_ratio, period_epochs
        self.remove_fraction, self.seed = remove_fraction, seed
        self.subset_size = kept_count(n, keep_ratio)
        removed = n - self.subset_size
        # Rounded up, so that m/n exchanges do restore all of the m removed.
        self.exchange_size = min(kept_count(n, remove_fraction), removed, self.subset_size)
        if iterations is None:
            iterations = math.ceil(removed / self.exchange_size) if removed else 0
        self.iterations = iterations if removed else 0
        self.iteration = 0
        self._allocate(n if removed else 0)
        if removed:
            self._remove_at_random(removed)

    def _allocate(self, size: int) -> None:
        self.in_subset = np.ones(size, np.bool_)
        self.waiting = np.zeros(size, np.bool_)  # initially removed and never restored so far
        self.last_correct = np.zeros(size, np.bool_)  # outlives the windows: presentations may straddle an exchange
        self.learned = np.zeros(size, np.bool_)
        self.forgetting = np.zeros(size, np.int64)
        self.presentations = np.zeros(size, np.int64)
        self.variance_sum = np.zeros(size, np.float64)

    def _remove_at_random(self, count: int) -> None:
        removed = _random(self.seed, _INITIAL, 0).permutation(self.n)[:count]
        self.in_subset[removed] = False
        self.waiting[removed] = True

    @property
    def filtering(self) -> bool:
        """Whether any example is left out at all."""
        return self.in_subset.size > 0

    @property
    def recording(self) -> bool:
        """Whether statistics still matter, that is, whether an exchange is still to come."""
        return self.iteration < self.iterations

    def subset(self) -> Indices:
        """Indices now in training, ascending, int64 [subset_size]."""
        return np.flatnonzero(self.in_subset).astype(np.int64) if self.filtering else np.arange(self.n, dtype=np.int64)

    def order(self, epoch: int) -> Indices:
        """The subset in the shuffled order of `epoch`, int64 [subset_size].

        It depends on the seed, the epoch and the subset only, so a run that resumes within an epoch asks again and
        continues where it stopped.
        """
        return _random(self.seed, _ORDER, epoch).permutation(self.subset())

    def record(self, indices: ArrayLike, correct: ArrayLike, attention_variance: ArrayLike) -> None:
        """Note one batch of presentations, each array [batch], in the order in which they were shown.

        `correct` is the prediction on the clean (unmixed) image before the update; `attention_variance` the variance of
        the class token's head-mean attention to the patches. An example that occurs twice counts as shown twice.
        """
        if not self.recording:
            return
        index, right = np.asarray(indices, np.int64), np.asarray(correct, np.bool_)
        variance = np.asarray(attention_variance, np.float64)
        left = np.arange(index.size)
        while left.size:  # once, unless an example occurs more than once
            _, first = np.unique(index[left], return_index=True)
            now = left[first]
            self._record_distinct(index[now], right[now], variance[now])
            left = np.delete(left, first)

    def _record_distinct(self, index: Indices, right: NDArray[np.bool_], variance: NDArray[np.float64]) -> None:
        self.forgetting[index] += self.last_correct[index] & ~right
        self.last_correct[index] = right
        self.learned[index] |= right
        self.presentations[index] += 1
        self.variance_sum[index] += variance

    def end_epoch(self, epoch: int) -> bool:
        """Tell that `epoch` (counted from 0) is over; True if the subset was exchanged."""
        if not self.recording or (epoch + 1) % self.period_epochs:
            return False
        restored = self._draw_from_pool()
        removed = self._least_informative()
        self.in_subset[removed] = False
        self.in_subset[restored] = True
        self.waiting[restored] = False
        self.iteration += 1
        for counts in (self.learned, self.forgetting, self.presentations, self.variance_sum):
            counts[...] = 0
        return True

    def _least_informative(self) -> Indices:
        subset = self.subset()
        seen = self.presentations[subset]
        forgetting = np.where(self.learned[subset], self.forgetting[subset], NEVER_CORRECT)
        forgetting = np.where(seen > 0, forgetting, NEVER_SEEN)
        mean_variance = self.variance_sum[subset] / np.maximum(seen, 1)
        ranking = np.lexsort((subset, mean_variance, forgetting))  # the last key weighs most
        least: Indices = subset[ranking[: self.exchange_size]]
        return least

    def _draw_from_pool(self) -> Indices:
        """Random examples from outside the subset, those that were never in training first."""
        random = _random(self.seed, _RESTORE, self.iteration)
        waiting = np.flatnonzero(self.waiting)
        others = np.flatnonzero(~self.in_subset & ~self.waiting)
        drawn: Indices = np.concatenate([random.permutation(waiting), random.permutation(others)])
        return drawn[: self.exchange_size]

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that a resume needs, as copies: settings, position, subset and statistics.

        The random streams are functions of seed, epoch and iteration, which are in it.
        """
        state: dict[str, NDArray[Any]] = {name: np.asarray(getattr(self, name)) for name in (*_SETTINGS, "iteration")}
        return state | {name: getattr(self, name).copy() for name in _ARRAYS}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from `state()`; `CheckpointError` when it belongs to other settings or is incomplete."""
        missing = [name for name in (*_SETTINGS, "iteration", *_ARRAYS) if name not in state]
        if missing:
            raise CheckpointError(f"the example selector's state lacks '{missing[0]}'; resume from another checkpoint")
        for name in _SETTINGS:
            if state[name] != getattr(self, name):
                raise CheckpointError(
                    f"the checkpoint was made with {name} = {state[name]} for the example selector, this run has "
                    f"{getattr(self, name)}; resume with the checkpoint's setting"
                )
        self.iteration = int(state["iteration"])
        for name in _ARRAYS:
            getattr(self, name)[...] = state[name]


def _check_settings(
    n: int, keep_ratio: float, period_epochs: int, remove_fraction: float, iterations: int | None, seed: int
) -> None:
    check_ratio(keep_ratio, "example keep ratio")
    if n < 1:
        raise PeelVitError("the training set is empty; give a data set with at least one image")
    if seed < 0:
        raise PeelVitError(f"the seed is {seed}; give a whole number that is not negative")
    if period_epochs < 1:
        raise PeelVitError(f"the example exchange period is {period_epochs} epochs; give at least 1")
    if iterations is not None and iterations < 0:
        raise PeelVitError(f"the number of example exchanges is {iterations}; give 0 or more")
    check_ratio(remove_fraction, "fraction of examples exchanged")
    if keep_ratio < 1.0 and remove_fraction > round(1.0 - keep_ratio, 9):
        raise PeelVitError(
            f"each exchange would restore {remove_fraction:g} of the examples, but a keep ratio of {keep_ratio:g} "
            f"leaves only {1 - keep_ratio:g} outside; exchange less or keep fewer"
        )
