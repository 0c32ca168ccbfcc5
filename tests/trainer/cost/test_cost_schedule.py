"""Cost over a training run."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.errors import PeelVitError
from host.options import LEVELS
from host.schedules import KeepRatio
from trainer.cost.architectures import describe
from trainer.cost.model import StepCost
from trainer.cost.paper import TABLE_1
from trainer.cost.schedule import TrainingRun
from trainer.keep import DENSE, Keep

TOY = "vit:image=12,patch=4,dim=12,depth=12,heads=3,mlp=20,classes=5"
DEIT = ("deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224")
POINTS_OFF_TABLE_1 = 0.008
"""The triples fit the paper's column to less than one point (research/algorithm.md)."""


ratios = st.floats(0.05, 1.0)


@settings(max_examples=40)
@given(tokens=ratios, attention=ratios, start=st.integers(0, 3), span=st.integers(0, 6), steps=st.integers(1, 40))
def test_spans_are_the_updates_one_by_one(tokens: float, attention: float, start: int, span: int, steps: int) -> None:
    run = TrainingRun(1.0, Keep(tokens, attention), 8, 4 * steps, 4, (start, start + span))
    cost = StepCost(describe(TOY))
    falling = [KeepRatio.between_epochs(r, start, start + span, steps) for r in (tokens, attention)]
    one_by_one = [cost(Keep(*(ratio(step) for ratio in falling))) for step in range(run.steps)]
    assert [value for value, count in run.spans(cost) for _ in range(count)] == one_by_one
    assert run.average(cost) == pytest.approx(sum(one_by_one) / len(one_by_one))


@pytest.mark.parametrize("model, level", [key for key in TABLE_1 if key[0] in DEIT])
def test_levels_reproduce_table_1(model: str, level: str) -> None:
    examples, *keep = LEVELS[level]
    # Fewer updates an epoch than ImageNet's: the ratios, and so their mean, are the same curve.
    run, cost = TrainingRun(examples, Keep(*keep), train_images=10_000), StepCost(describe(model))
    saved = 1 - run.example_ratio * run.average(cost) / cost(DENSE)
    assert saved == pytest.approx(TABLE_1[model, level].macs_saved, abs=POINTS_OFF_TABLE_1)


@pytest.mark.parametrize(
    "model, tokens, attention",
    [(DEIT[0], (14.8, 27.6, 37.8), (6.3, 7.4, 8.4)), (DEIT[1], (14.2, 26.8, 37.0), (3.4, 4.0, 4.6))],
)
def test_single_levels_save_what_research_says(model: str, tokens: tuple[float], attention: tuple[float]) -> None:
    cost = StepCost(describe(model), training=False, backward=False)
    dense = cost(DENSE)
    assert [100 * (1 - cost(Keep(r)) / dense) for r in (0.9, 0.8, 0.7)] == pytest.approx(tokens, abs=0.051)
    assert [100 * (1 - cost(Keep(1.0, r)) / dense) for r in (0.4, 0.3, 0.2)] == pytest.approx(attention, abs=0.051)


def test_examples_shown_are_counted_like_the_selector_counts_them() -> None:
    run = TrainingRun(0.9, DENSE, 3, train_images=101, batch_size=10)
    assert (run.images_per_epoch, run.steps_per_epoch, run.steps) == (91, 10, 30)
    assert run.example_ratio == 91 / 101


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch_size": 0}, {"train_images": -1}, {"example_keep": 1.5}])
def test_impossible_runs_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(PeelVitError):
        TrainingRun(**wrong)
