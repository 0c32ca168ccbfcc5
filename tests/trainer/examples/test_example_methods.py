"""What must hold for every example method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.errors import CheckpointError, PeelVitError
from host.examples import ExampleSelector
from host.schedules import kept_count
from trainer.examples.method import ExampleMethod
from trainer.examples.registry import create_example_method, example_method_names, example_method_options

NAMES = example_method_names()
WITHOUT_RATIO = ("all", "infobatch")
OPTIONS: dict[str, dict[str, Any]] = {
    "trilevel": {"period_epochs": 2, "remove_fraction": 0.1},
    "random": {"period_epochs": 2, "remove_fraction": 0.1},
    "el2n": {"score_epochs": 2},
}
EPOCHS = 6


def new(name: str, n: int = 30, keep_ratio: float = 0.7, seed: int = 5) -> ExampleMethod:
    keep_ratio = 1.0 if name in WITHOUT_RATIO else keep_ratio
    return create_example_method(name, n, keep_ratio=keep_ratio, epochs=EPOCHS, seed=seed, **OPTIONS.get(name, {}))


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name], one[name].dtype.kind == "f")
        for name in one
    )


@pytest.mark.parametrize("name", NAMES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
@given(n=st.integers(5, 60), keep=st.sampled_from([0.5, 0.7, 0.8, 1.0]), seed=st.integers(0, 2**40))
def test_plans_show_different_examples_and_as_many_as_promised(
    name: str, show: Callable[..., Any], n: int, keep: float, seed: int
) -> None:
    method = new(name, n, keep, seed)
    before, changed = None, True
    for epoch in range(EPOCHS):
        plan = method.plan(epoch)
        subset = set(plan.order.tolist())
        assert plan.order.dtype == np.int64
        assert len(subset) == len(plan.order)
        assert subset <= set(range(n))
        assert np.array_equal(method.plan(epoch).order, plan.order)
        if name != "infobatch":
            assert plan.weights is None
            assert len(plan.order) in (n, kept_count(n, method.keep_ratio))
        if name in ("trilevel", "random"):
            assert len(plan.order) == kept_count(n, keep)
        if before is not None and subset != before:
            assert changed
        show(method, epoch)
        before, changed = subset, method.end_epoch(epoch)


@pytest.mark.parametrize("name", NAMES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
@given(epoch=st.integers(0, EPOCHS - 1), step=st.integers(0, 5), repeats=st.integers(1, 2))
def test_resume_within_an_epoch_is_exact(
    name: str, show: Callable[..., Any], epoch: int, step: int, repeats: int
) -> None:
    undisturbed, first, resumed = new(name), new(name), new(name)
    for before in range(epoch):
        for method in (undisturbed, first):
            show(method, before, repeats=repeats)
            method.end_epoch(before)
    show(undisturbed, epoch, repeats=repeats)
    show(first, epoch, stop=step, repeats=repeats)
    saved = first.state_dict()
    show(first, epoch, step, repeats=repeats)  # after the checkpoint, lost in a crash; it must not be in what was saved
    resumed.load_state_dict(saved)
    assert np.array_equal(resumed.plan(epoch).order, undisturbed.plan(epoch).order)
    show(resumed, epoch, step, repeats=repeats)
    for later in range(epoch, EPOCHS):
        if later > epoch:
            for method in (undisturbed, first, resumed):
                show(method, later)
        assert len({method.end_epoch(later) for method in (undisturbed, first, resumed)}) == 1
    assert same(resumed.state_dict(), undisturbed.state_dict())
    assert same(first.state_dict(), undisturbed.state_dict())


@pytest.mark.parametrize("name", NAMES)
def test_state_is_arrays_of_numbers(name: str, show: Callable[..., Any]) -> None:
    method = new(name)
    show(method, 0, stop=2)
    state = method.state_dict()
    assert all(isinstance(array, np.ndarray) and array.dtype.kind in "biuf" for array in state.values())
    saved = {key: array.copy() for key, array in state.items()}
    for array in state.values():
        array[...] = 1  # the method does not notice
    assert same(method.state_dict(), saved)


@pytest.mark.parametrize("name", NAMES)
def test_seeds_differ(name: str) -> None:
    assert not np.array_equal(new(name, seed=1).plan(0).order, new(name, seed=2).plan(0).order)
    assert not np.array_equal(new(name).plan(0).order, new(name).plan(1).order)


def test_ordinary_training_is_that_of_the_board() -> None:
    method, board = new("all", n=30, seed=4), ExampleSelector(30, 1.0, seed=4)
    for epoch in range(3):
        assert np.array_equal(method.plan(epoch).order, board.order(epoch))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_recorded_that_nobody_needs(name: str, show: Callable[..., Any]) -> None:
    method = create_example_method(name, 50, epochs=EPOCHS, **({"prune_ratio": 0} if name == "infobatch" else {}))
    show(method, 0)
    assert method.state_dict().get("shown", np.empty(0)).size == 0


@pytest.mark.parametrize("name", NAMES)
def test_state_of_another_run_is_refused(name: str) -> None:
    other = "all" if name != "all" else "trilevel"
    with pytest.raises(CheckpointError, match=f"example method '{other}', this run uses '{name}'"):
        new(name).load_state_dict(new(other).state_dict())
    with pytest.raises(CheckpointError, match="made with seed = 1"):
        new(name).load_state_dict(new(name, seed=1).state_dict())
    for key in new(name).state_dict():
        state = new(name).state_dict()
        del state[key]
        with pytest.raises(CheckpointError, match=f"lacks '{key}'"):
            new(name).load_state_dict(state)


def test_damaged_state_is_refused() -> None:
    state = new("forgetting").state_dict()
    with pytest.raises(CheckpointError, match="'forgetting' of the example method in the checkpoint has shape"):
        new("forgetting").load_state_dict(state | {"forgetting": np.zeros(3)})
    with pytest.raises(CheckpointError, match="of another form"):
        new("forgetting").load_state_dict(state | {"shown": np.zeros((3, 9), np.int32)})


@pytest.mark.parametrize(
    ("name", "arguments", "match"),
    [
        ("trylevel", {}, "no example method 'trylevel'; choose trilevel"),
        ("xyz", {}, "choose one of all, trilevel, random, active_bias, forgetting, el2n, infobatch"),
        ("all", {"keep_ratio": 0.9}, "'all' leaves nothing out, but the example keep ratio is 0.9"),
        ("infobatch", {"keep_ratio": 0.9}, "'infobatch' has no keep ratio"),
        ("all", {"x": 1}, "'all' has no option 'x'; it has none"),
        ("trilevel", {"period_epoch": 1}, "no option 'period_epoch'; choose period_epochs"),
        ("trilevel", {"period_epochs": "many"}, "option period_epochs is 'many'; give a whole number"),
        ("trilevel", {"period_epochs": 1.5}, "give a whole number"),
        ("infobatch", {"prune_ratio": "half"}, "option prune_ratio is 'half'; give a number"),
        ("infobatch", {"prune_ratio": 1.0}, "prune ratio of InfoBatch is 1"),
        ("infobatch", {"prune_until": 2}, "would prune until 2"),
        ("forgetting", {"score_fraction": 0}, "forgetting is counted is 0"),
        ("el2n", {"score_epochs": 0}, "scored for 0 epochs"),
        ("active_bias", {"burn_in_fraction": -1}, "burn-in is -1"),
        ("random", {"keep_ratio": 0.8, "remove_fraction": 0.5}, "leaves only 0.2 outside"),
        ("forgetting", {"keep_ratio": 0}, "example keep ratio is 0"),
        ("all", {"n": 0}, "training set is empty"),
        ("all", {"n": 2**31}, "more than 2\\^31"),
        ("all", {"epochs": 0}, "run has 0 epochs"),
        ("all", {"seed": -1}, "seed is -1"),
    ],
)
def test_settings_that_cannot_work_are_refused(name: str, arguments: dict[str, Any], match: str) -> None:
    arguments = {"n": 100, "epochs": 10} | arguments
    with pytest.raises(PeelVitError, match=match):
        create_example_method(name, arguments.pop("n"), **arguments)


def test_options_have_defaults_and_may_be_text() -> None:
    assert example_method_options("trilevel") == {"period_epochs": 30, "remove_fraction": 0.05, "iterations": None}
    text = {"period_epochs": "3", "remove_fraction": "0.1", "iterations": "none"}
    method = create_example_method("trilevel", 100, keep_ratio=0.8, epochs=9, **text)
    typed = {"period_epochs": 3, "remove_fraction": 0.1, "iterations": None}
    assert same(
        method.state_dict(), create_example_method("trilevel", 100, keep_ratio=0.8, epochs=9, **typed).state_dict()
    )
