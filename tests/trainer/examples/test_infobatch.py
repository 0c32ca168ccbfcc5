"""InfoBatch: easy examples are left out at random, and the others of them weigh more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.examples.infobatch import InfoBatch

LOSSES = st.lists(st.floats(0, 10, width=32) | st.none(), min_size=1, max_size=60)


def after_one_epoch(presentations: Callable[..., Any], losses: list[float | None], **options: float) -> InfoBatch:
    method = InfoBatch(len(losses), 1.0, 100, options.pop("seed", 0), **options)
    shown = [example for example, loss in enumerate(losses) if loss is not None]
    method.record(presentations(shown, loss=[losses[example] for example in shown]))
    method.end_epoch(0)
    return method


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(losses=LOSSES, ratio=st.sampled_from([0.1, 0.3, 0.5, 0.9]), epoch=st.integers(1, 80))
def test_weights_of_each_stratum_sum_to_its_size(
    presentations: Callable[..., Any], losses: list[float | None], ratio: float, epoch: int
) -> None:
    method = after_one_epoch(presentations, losses, prune_ratio=ratio)
    known = [loss for loss in losses if loss is not None]
    mean = np.float32(np.mean(known, dtype=np.float64)) if known else 0
    easy = [example for example, loss in enumerate(losses) if loss is not None and loss < mean]
    plan = method.plan(epoch)
    if not easy:
        assert plan.weights is None
        assert sorted(plan.order) == list(range(len(losses)))
        return
    assert plan.weights is not None
    assert plan.weights.dtype == np.float32
    assert plan.weights.shape == plan.order.shape
    weight = dict(zip(plan.order.tolist(), plan.weights.tolist(), strict=True))
    assert all(weight[hard] == 1.0 for hard in set(range(len(losses))) - set(easy))
    kept = [weight[example] for example in easy if example in weight]
    assert len(kept) == int(np.ceil(round(len(easy) * (1 - ratio), 9)))
    assert len(set(kept)) == 1
    assert sum(kept) == pytest.approx(len(easy), rel=1e-6)
    assert sum(weight.values()) == pytest.approx(len(losses), rel=1e-6)


def test_every_example_has_an_expected_weight_of_one(presentations: Callable[..., Any]) -> None:
    method = after_one_epoch(presentations, [*np.linspace(0, 1, 30), 5.0, None], prune_ratio=0.5)
    total, epochs = np.zeros(32), range(1, 87)
    easy = method.well_learned()
    assert 0 < easy.size < 30
    for epoch in epochs:
        plan = method.plan(epoch)
        total[plan.order] += plan.weights
    # Weights are 0 or 2 with equal chances: standard deviation 1.
    assert np.abs(total[easy] / len(epochs) - 1).max() < 4 / np.sqrt(len(epochs))
    assert abs(total[easy].mean() / len(epochs) - 1) < 1e-6
    assert (np.delete(total, easy) == len(epochs)).all()


def test_examples_left_out_keep_their_last_loss(presentations: Callable[..., Any]) -> None:
    method = after_one_epoch(presentations, [0.0, 0.5, 4.0])
    method.record(presentations([1, 2, 1], loss=[3.0, 1.0, 2.0]))
    method.end_epoch(1)
    assert method.state_dict()["last_loss"].tolist() == [0.0, 2.0, 1.0]


def test_the_last_eighth_shows_everything_unweighted(presentations: Callable[..., Any]) -> None:
    method = InfoBatch(100, 1.0, 16, 0)
    sizes, changed, recording = [], [], []
    for epoch in range(16):
        plan = method.plan(epoch)
        sizes.append(len(plan.order))
        assert (plan.weights is None) == (len(plan.order) == 100)
        recording.append(method.recording)
        method.record(presentations(plan.order, loss=plan.order / 100))
        changed.append(method.end_epoch(epoch))
    assert sizes == [100] + [75] * 13 + [100] * 2
    assert changed == [True] * 14 + [False] * 2
    assert recording == [True] * 13 + [False] * 3
