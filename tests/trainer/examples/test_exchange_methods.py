"""`trilevel` against the board's selector, and `random` beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.examples import ExampleSelector
from trainer.examples.random import RandomExchange
from trainer.examples.trilevel import TriLevel


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    n=st.integers(2, 60),
    removed=st.integers(1, 60),
    period=st.integers(1, 3),
    repeats=st.integers(1, 3),
    seed=st.integers(0, 2**40),
)
def test_trilevel_is_the_boards_selector(
    show: Callable[..., Any], n: int, removed: int, period: int, repeats: int, seed: int
) -> None:
    options = {"period_epochs": period, "remove_fraction": removed / 200}
    method = TriLevel(n, 1 - removed / 100, 12, seed, **options)
    board = ExampleSelector(n, 1 - removed / 100, seed=seed, **options)
    for epoch in range(2 * period + 1):
        assert np.array_equal(method.plan(epoch).order, board.order(epoch))
        for batch in show(method, epoch, repeats=repeats):
            board.record(batch["indices"], batch["correct"], batch["attention_variance"])
        assert method.end_epoch(epoch) == board.end_epoch(epoch)
        state = method.state_dict()
        for name, expected in board.state().items():
            assert np.array_equal(state[name], expected), name


@pytest.mark.parametrize("kind", [TriLevel, RandomExchange])
@pytest.mark.parametrize("keep_ratio", [0.5, 0.8, 0.9])
def test_every_example_removed_at_first_returns(show: Callable[..., Any], kind: Any, keep_ratio: float) -> None:
    method = kind(97, keep_ratio, 300, 1, period_epochs=1)
    ever = set(method.plan(0).order.tolist())
    for epoch in range(method.selector.iterations):
        show(method, epoch)
        assert method.end_epoch(epoch)
        ever |= set(method.plan(epoch + 1).order.tolist())
    assert ever == set(range(97))
    assert not method.end_epoch(method.selector.iterations)


def test_never_seen_examples_stay(presentations: Callable[..., Any]) -> None:
    method = TriLevel(20, 0.5, 300, 0, period_epochs=1, remove_fraction=0.4)
    order = method.plan(0).order
    method.record(presentations(order[:8], correct=np.ones(8, bool)))
    assert method.end_epoch(0)
    assert set(order[8:].tolist()) <= set(method.plan(1).order.tolist())


def test_random_exchanges_as_often_and_as_many_but_blindly(show: Callable[..., Any]) -> None:
    options = {"period_epochs": 2, "remove_fraction": 0.1}
    blind, deaf, looking = (kind(200, 0.7, 300, 9, **options) for kind in (RandomExchange, RandomExchange, TriLevel))
    for epoch in range(10):
        for method in (blind, looking):
            show(method, epoch)
        before = [set(method.plan(epoch).order.tolist()) for method in (blind, looking)]
        changed = [method.end_epoch(epoch) for method in (blind, looking)]
        after = [set(method.plan(epoch + 1).order.tolist()) for method in (blind, looking)]
        deaf.end_epoch(epoch)
        assert changed[0] == changed[1]
        assert len(before[0] - after[0]) == len(before[1] - after[1]) == (20 if changed[0] else 0)
        assert np.array_equal(deaf.plan(epoch + 1).order, blind.plan(epoch + 1).order)


def test_random_removes_uniformly() -> None:
    """Over many seeds every example of the subset leaves about equally often."""
    leaves, stays = np.zeros(20), np.zeros(20)
    for seed in range(400):
        method = RandomExchange(20, 0.5, 300, seed, period_epochs=1, remove_fraction=0.2)
        before = set(method.plan(0).order.tolist())
        method.end_epoch(0)
        left = before - set(method.plan(1).order.tolist())
        leaves[list(left)] += 1
        stays[list(before)] += 1
    assert np.abs(leaves / stays - 0.4).max() < 4 * np.sqrt(0.4 * 0.6 / stays.min())
