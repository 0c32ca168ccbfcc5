"""Active Bias: examples of uncertain prediction are shown more often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from trainer.examples.active_bias import ActiveBias


def test_odds_are_the_papers_formula(presentations: Callable[..., Any]) -> None:
    method = ActiveBias(4, 0.5, 10, 0)
    history = {0: [0.5, 0.5, 0.5], 1: [0.1, 0.9, 0.2, 0.4], 2: [0.3, 0.6], 3: [0.9]}
    for epoch in range(4):
        seen = {example: values[epoch] for example, values in history.items() if epoch < len(values)}
        method.record(presentations(list(seen), probability=list(seen.values())))
        method.end_epoch(epoch)
    spread = []
    for values in list(history.values())[:3]:
        variance = np.var(np.float32(values), dtype=np.float64)
        spread.append(np.sqrt(variance + variance**2 / (len(values) - 1)))
    expected = np.array([*spread, np.mean(spread)]) + np.mean(spread)
    np.testing.assert_allclose(method.odds(), expected, rtol=1e-6)


def test_nothing_known_means_nothing_preferred(presentations: Callable[..., Any]) -> None:
    method = ActiveBias(4, 0.5, 10, 0)
    assert method.odds().tolist() == [1.0] * 4
    for epoch in range(2):
        method.record(presentations(range(4), probability=[0.25] * 4))
        method.end_epoch(epoch)
    assert method.odds().tolist() == [1.0] * 4


def test_uncertain_examples_are_shown_more_often_and_all_remain_possible(presentations: Callable[..., Any]) -> None:
    method = ActiveBias(100, 0.5, 1000, 0, burn_in_fraction=0.002)
    for epoch in range(2):
        assert len(method.plan(epoch).order) == 100
        sure = np.full(50, 0.5)
        method.record(presentations(range(100), probability=np.concatenate([sure, np.full(50, float(epoch))])))
        method.end_epoch(epoch)
    shown = np.zeros(100)
    for epoch in range(2, 400):
        order = method.plan(epoch).order
        assert len(order) == 50
        shown[order] += 1
    assert shown.min() > 0
    assert shown[50:].min() > shown[:50].max()
    odds = method.odds()  # the sure: 0 + mean; the others: 2 mean + mean
    np.testing.assert_allclose(odds[50:] / odds[0], 3.0)
