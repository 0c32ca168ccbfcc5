"""Forgetting and EL2N: everything first, the highest scores then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.examples.el2n import El2n
from trainer.examples.forgetting import Forgetting


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    sights=st.lists(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=20), min_size=1, max_size=4),
)
def test_forgetting_is_counted_as_with_plain_loops(
    presentations: Callable[..., Any], sights: list[list[tuple[int, bool]]]
) -> None:
    method = Forgetting(6, 0.5, 10, 0, score_fraction=1.0)
    last, learned, events = [False] * 6, [False] * 6, [0] * 6
    for epoch, seen in enumerate(sights):
        for example, right in seen:
            events[example] += last[example] and not right
            learned[example] |= right
            last[example] = right
        method.record(presentations([e for e, _ in seen], correct=np.array([right for _, right in seen], bool)))
        method.end_epoch(epoch)
    state = method.state_dict()
    assert state["forgetting"].tolist() == events
    assert state["learned"].tolist() == learned
    assert state["last_correct"].tolist() == last


def test_the_most_forgotten_stay(presentations: Callable[..., Any]) -> None:
    method = Forgetting(10, 0.5, 10, 0, score_fraction=0.6)  # counts for 6 epochs
    forgotten, never_right, never_shown = 3, 7, 9
    for epoch in range(6):
        assert len(method.plan(epoch).order) == 10
        right = np.ones(9, bool)
        right[forgotten], right[never_right] = epoch % 2 == 0, False
        method.record(presentations(range(9), correct=right))
        assert method.end_epoch(epoch) == (epoch == 5)
    kept = set(method.plan(6).order.tolist())
    assert len(kept) == 5
    assert {forgotten, never_right, never_shown} <= kept
    assert not method.recording


def test_forgetting_saves_what_the_papers_table_says() -> None:
    method = Forgetting(1000, 0.8, 300, 0)
    assert (1 - method.score_epochs / 300) * (1 - 0.8) == pytest.approx(0.161, abs=0.002)


@pytest.mark.parametrize("kind", [Forgetting, El2n])
def test_equal_scores_do_not_favour_the_first_classes(presentations: Callable[..., Any], kind: Any) -> None:
    method = kind(1000, 0.5, 1, 0)
    method.record(presentations(range(1000), correct=np.ones(1000, bool), error_norm=np.ones(1000)))
    assert method.end_epoch(0)
    assert 200 < (method.plan(1).order < 500).sum() < 300


def test_el2n_keeps_the_largest_mean_errors(presentations: Callable[..., Any]) -> None:
    method = El2n(8, 0.5, 20, 0, score_epochs=2)
    method.record(presentations([0, 1, 2, 3, 4, 5, 6, 6], error_norm=[0.1, 1.2, 0.2, 0.9, 0.8, 0.3, 0.0, 1.4]))
    assert not method.end_epoch(0)
    method.record(presentations([0, 1, 2, 3, 4, 5], error_norm=[0.1, 0.2, 0.2, 0.9, 0.8, 1.3]))
    assert method.end_epoch(1)
    # means: .1 .7 .2 .9 .8 .8 .7 never shown
    assert sorted(method.plan(2).order) == [3, 4, 5, 7]


def test_el2n_scores_for_a_tenth_of_the_run() -> None:
    assert El2n(10, 0.5, 200, 0).score_epochs == 20
    assert El2n(10, 0.5, 3, 0).score_epochs == 1
