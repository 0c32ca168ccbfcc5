"""What a run saved."""

from __future__ import annotations

import pytest

from host.options import LEVELS
from trainer.cost.architectures import describe
from trainer.cost.model import StepCost
from trainer.cost.saving import modelled_macs
from trainer.cost.schedule import TrainingRun
from trainer.keep import DENSE, Keep

TOY = "vit:image=12,patch=4,dim=12,depth=12,heads=3,mlp=20,classes=5"


@pytest.mark.parametrize("level", LEVELS)
def test_it_is_what_the_cost_program_says_of_the_same_run(level: str) -> None:
    examples, *ratios = LEVELS[level]
    run = TrainingRun(examples, Keep(*ratios), epochs=30, train_images=400, batch_size=20)
    found = modelled_macs(TOY, run, run.example_ratio)
    cost = StepCost(describe(TOY))
    assert found is not None
    assert (found["step_dense"], found["step_final"]) == (cost(DENSE), cost(run.keep))
    assert found["saved_in_run"] == pytest.approx(1 - run.example_ratio * run.average(cost) / cost(DENSE))
    assert (found["saved_in_run"] == 0) == (level == "dense")


def test_the_baseline_is_dense_whatever_the_method() -> None:
    run = TrainingRun(keep=Keep(0.5), epochs=3, train_images=40, batch_size=20)
    teacher = modelled_macs(TOY, run, 1.0, token_method="dynamic_vit")
    assert teacher is not None
    assert teacher["step_dense"] == StepCost(describe(TOY))()
    assert teacher["saved_in_run"] < 0  # training masks, and has predictors and a teacher


def test_what_is_not_known_is_none() -> None:
    run = TrainingRun(keep=Keep(0.5, 0.5), epochs=3, train_images=40, batch_size=20)
    unfinished = modelled_macs(TOY, run, None)
    assert unfinished is not None
    assert unfinished["saved_in_run"] is None
    assert modelled_macs("another_model", run, 1.0) is None
    assert modelled_macs(TOY, run, 1.0, token_method="evit") is None  # which has no attention level
