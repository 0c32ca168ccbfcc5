"""The example selector against the paper's rule, written with plain loops, and what must hold for any run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.errors import CheckpointError, PeelVitError
from host.examples import ExampleSelector

Batch = tuple[list[int], list[bool], list[float]]


@dataclass(frozen=True)
class Settings:
    n: int
    keep_ratio: float
    period_epochs: int
    remove_fraction: float
    iterations: int | None
    seed: int

    def selector(self) -> ExampleSelector:
        return ExampleSelector(**vars(self))


@st.composite
def selector_settings(draw: st.DrawFn) -> Settings:
    removed_percent = draw(st.integers(1, 90))
    return Settings(
        n=draw(st.integers(2, 60)),
        keep_ratio=(100 - removed_percent) / 100,
        period_epochs=draw(st.integers(1, 3)),
        remove_fraction=draw(st.integers(1, removed_percent)) / 100,
        iterations=draw(st.none() | st.integers(0, 6)),
        seed=draw(st.integers(0, 2**40)),
    )


def seen_by_model(selector: ExampleSelector, epoch: int, random: np.random.Generator, batch: int = 7) -> list[Batch]:
    """The batches of one epoch with made-up outcomes; few distinct variances, so that ties are common."""
    order = selector.order(epoch)
    batches = []
    for start in range(0, len(order), batch):
        indices = order[start : start + batch].tolist()
        correct = (random.random(len(indices)) < 0.6).tolist()
        variance = (random.integers(0, 4, len(indices)) / 4).tolist()
        batches.append((indices, correct, variance))
    return batches


class PlainRule:
    """The paper's rule, example by example, for the choice of what leaves; what returns is given to it."""

    def __init__(self, subset: set[int]) -> None:
        self.subset = set(subset)
        self.last: dict[int, bool] = {}
        self.new_window()

    def new_window(self) -> None:
        self.forgetting: dict[int, int] = {}
        self.learned: set[int] = set()
        self.variances: dict[int, list[float]] = {}

    def record(self, indices: list[int], correct: list[bool], variances: list[float]) -> None:
        for example, right, variance in zip(indices, correct, variances, strict=True):
            if self.last.get(example, False) and not right:
                self.forgetting[example] = self.forgetting.get(example, 0) + 1
            if right:
                self.learned.add(example)
            self.last[example] = right
            self.variances.setdefault(example, []).append(variance)

    def leaving(self, count: int) -> set[int]:
        def key(example: int) -> tuple[float, float, int]:
            if example not in self.variances:
                return (math.inf, math.inf, example)
            seen = self.variances[example]
            forgotten = self.forgetting.get(example, 0) if example in self.learned else 10**9
            return (forgotten, sum(seen) / len(seen), example)

        return set(sorted(self.subset, key=key)[:count])

    def exchange(self, leaving: set[int], returning: set[int]) -> None:
        self.subset = (self.subset - leaving) | returning
        self.new_window()


@settings(deadline=None)
@given(given_settings=selector_settings(), model_seed=st.integers(0, 1000))
def test_exchanges_follow_the_papers_rule(given_settings: Settings, model_seed: int) -> None:
    selector, random = given_settings.selector(), np.random.default_rng(model_seed)
    rule = PlainRule(set(selector.subset().tolist()))
    exchanges = 0
    for epoch in range(given_settings.period_epochs * (selector.iterations + 1)):
        for batch in seen_by_model(selector, epoch, random):
            selector.record(*batch)
            rule.record(*batch)
        before = set(selector.subset().tolist())
        due = (epoch + 1) % given_settings.period_epochs == 0 and exchanges < selector.iterations
        assert selector.end_epoch(epoch) == due
        if due:
            after = set(selector.subset().tolist())
            assert before - after == rule.leaving(selector.exchange_size)
            rule.exchange(before - after, after - before)
            exchanges += 1
        assert set(selector.subset().tolist()) == rule.subset
    assert exchanges == selector.iterations


@settings(deadline=None)
@given(given_settings=selector_settings())
def test_size_is_constant_and_every_removed_example_returns(given_settings: Settings) -> None:
    selector = given_settings.selector()
    everything = set(range(given_settings.n))
    pool = everything - set(selector.subset().tolist())
    assert len(pool) == math.floor(round(given_settings.n * (1 - given_settings.keep_ratio), 9))
    ever_in_training = set(selector.subset().tolist())
    for epoch in range(given_settings.period_epochs * selector.iterations):
        subset = selector.subset()
        assert sorted(selector.order(epoch)) == subset.tolist() == sorted(set(subset.tolist()))
        assert len(subset) == selector.subset_size
        selector.record(subset, np.ones(len(subset), bool), subset / 7)
        selector.end_epoch(epoch)
        ever_in_training |= set(selector.subset().tolist())
    covered = min(selector.iterations * selector.exchange_size, len(pool))
    assert len(ever_in_training & pool) == covered
    if given_settings.iterations is None:
        assert ever_in_training == everything


@pytest.mark.parametrize(
    ("keep_ratio", "fraction", "iterations"), [(0.8, 0.05, 4), (0.9, 0.05, 2), (0.95, 0.05, 1), (0.7, 0.05, 6)]
)
@pytest.mark.parametrize("n", [100, 50_000, 50_001, 1_281_167])
def test_default_iterations_are_m_over_n(n: int, keep_ratio: float, fraction: float, iterations: int) -> None:
    assert ExampleSelector(n, keep_ratio, remove_fraction=fraction).iterations == iterations


def run(selector: ExampleSelector, epochs: range, stop: tuple[int, int] | None = None) -> list[Any]:
    """Train on made-up outcomes that depend on epoch and batch only; stop before batch `stop` = (epoch, batch)."""
    trace: list[Any] = []
    for epoch in epochs:
        batches = seen_by_model(selector, epoch, np.random.default_rng(epoch))
        for number, batch in enumerate(batches):
            if (epoch, number) == stop:
                return trace
            selector.record(*batch)
            trace.append(batch[0])
        selector.end_epoch(epoch)
    return trace


def same_state(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]) for name in one
    )


@settings(deadline=None)
@given(given_settings=selector_settings(), epoch=st.integers(0, 5), batch=st.integers(0, 3))
def test_resume_within_an_epoch_is_exact(given_settings: Settings, epoch: int, batch: int) -> None:
    undisturbed, first = given_settings.selector(), given_settings.selector()
    run(undisturbed, range(8))
    run(first, range(8), stop=(epoch, batch))
    saved = first.state()
    run(first, range(8), stop=(epoch, batch + 1))  # work after the checkpoint, lost in the crash

    resumed = given_settings.selector()
    resumed.load_state(saved)
    stopped_within = batch * 7 < resumed.subset_size
    if stopped_within:
        for number, rest in enumerate(seen_by_model(resumed, epoch, np.random.default_rng(epoch))):
            if number >= batch:
                resumed.record(*rest)
        resumed.end_epoch(epoch)
        run(resumed, range(epoch + 1, 8))
    assert same_state(resumed.state(), undisturbed.state())


@settings(deadline=None)
@given(given_settings=selector_settings())
def test_same_seed_same_run(given_settings: Settings) -> None:
    one, other = given_settings.selector(), given_settings.selector()
    assert run(one, range(4)) == run(other, range(4))
    assert same_state(one.state(), other.state())


def test_seed_and_epoch_change_the_order() -> None:
    orders = [ExampleSelector(200, 1.0, seed=seed).order(epoch).tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    assert not np.array_equal(ExampleSelector(200, 0.5, seed=0).subset(), ExampleSelector(200, 0.5, seed=1).subset())


def test_streams_are_pinned() -> None:
    """The split and the order of a seed never change, between machines or NumPy versions."""
    selector = ExampleSelector(12, 0.5, remove_fraction=0.25, seed=7)
    assert selector.subset().tolist() == [0, 1, 2, 3, 6, 8]
    assert selector.order(3).tolist() == [2, 6, 8, 0, 1, 3]


def test_keep_ratio_one_filters_nothing_and_stores_nothing() -> None:
    selector = ExampleSelector(1000, 1.0, period_epochs=1)
    assert not selector.filtering
    assert not selector.recording
    assert sorted(selector.order(0)) == list(range(1000))
    selector.record(range(1000), np.ones(1000, bool), np.zeros(1000))
    assert not selector.end_epoch(0)
    assert sum(array.size for array in selector.state().values() if array.ndim) == 0


def test_an_example_twice_in_a_batch_counts_twice_in_order() -> None:
    selector = ExampleSelector(4, 0.5, remove_fraction=0.25)
    selector.record([1, 1, 2, 1, 1], [True, False, True, True, False], [1.0, 2.0, 5.0, 3.0, 4.0])
    assert selector.presentations.tolist() == [0, 4, 1, 0]
    assert selector.forgetting.tolist() == [0, 2, 0, 0]
    assert selector.variance_sum.tolist() == [0.0, 10.0, 5.0, 0.0]


def test_forgetting_is_seen_across_an_exchange() -> None:
    selector = ExampleSelector(20, 0.5, period_epochs=1, remove_fraction=0.05, iterations=5)
    subset = selector.subset()
    selector.record(subset, np.ones(10, bool), np.arange(10))
    selector.end_epoch(0)
    staying = int(subset[-1])
    selector.record([staying], [False], [0.0])
    assert selector.forgetting[staying] == 1


def test_hard_and_unseen_examples_stay() -> None:
    selector = ExampleSelector(20, 0.5, period_epochs=1, remove_fraction=0.4)
    unseen, never_right, *easy = selector.subset().tolist()
    selector.record([never_right, *easy], [False] + [True] * 8, [0.0] + [9.0] * 8)
    selector.end_epoch(0)
    assert {unseen, never_right} <= set(selector.subset().tolist())
    assert not set(easy) & set(selector.subset().tolist())


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"keep_ratio": 0.0}, "example keep ratio is 0.0"),
        ({"keep_ratio": 1.5}, "example keep ratio is 1.5"),
        ({"n": 0}, "training set is empty"),
        ({"remove_fraction": 0.3}, "leaves only 0.2 outside"),
        ({"remove_fraction": 0.0}, "fraction of examples exchanged is 0"),
        ({"period_epochs": 0}, "period is 0"),
        ({"iterations": -1}, "exchanges is -1"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_that_cannot_work_are_refused(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(PeelVitError, match=match):
        ExampleSelector(**({"n": 100, "keep_ratio": 0.8} | arguments))


def test_state_of_another_run_is_refused() -> None:
    state = ExampleSelector(100, 0.8, seed=1).state()
    with pytest.raises(CheckpointError, match="seed = 1"):
        ExampleSelector(100, 0.8, seed=2).load_state(state)
    del state["waiting"]
    with pytest.raises(CheckpointError, match="lacks 'waiting'"):
        ExampleSelector(100, 0.8, seed=1).load_state(state)
