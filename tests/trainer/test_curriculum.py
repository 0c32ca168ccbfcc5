"""EfficientTrain++'s curriculum: its published stages, monotone, and ending at full size for any length."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.errors import PeelVitError
from trainer.curriculum import Curriculum, Stage, epochs_of_equal_cost


@given(st.integers(1, 400), st.integers(1, 20), st.sampled_from([1, 2, 4, 14, 16]))
def test_sizes_and_magnitudes_only_grow_and_end_at_the_final_ones(epochs, steps, multiple):
    curriculum = Curriculum(epochs, steps * multiple, multiple)
    stages = [curriculum.stage(epoch) for epoch in range(epochs)]
    for before, after in pairwise(stages):
        assert before.image_size <= after.image_size
        assert before.randaugment_magnitude <= after.randaugment_magnitude
    assert stages[-1] == Stage(steps * multiple, 9.0)
    assert all(stage.image_size % multiple == 0 and stage.image_size > 0 for stage in stages)
    assert 0 < curriculum.relative_cost() <= 1


@pytest.mark.parametrize(
    "image_size, multiple, sides", [(224, 16, (96, 160, 192, 224)), (32, 4, (12, 24, 28, 32)), (16, 8, (8, 8, 16, 16))]
)
def test_sides_scale_to_any_final_size(image_size, multiple, sides):
    curriculum = Curriculum(300, image_size, multiple)
    assert [curriculum.sides[number] for number in (0, 2, 6, 8)] == list(sides)


def test_stages_have_the_published_lengths():
    """`_ET_pp_main_deitS.py` with 200 epochs: 2x108 at 96 pixels, 4x39 at 160, 2x27 at 192, 2x20 at 224."""
    epochs = epochs_of_equal_cost(200, 224)
    curriculum = Curriculum(epochs, 224)
    lengths = [0] * 10
    for epoch in range(epochs):
        lengths[round(curriculum.stage(epoch).randaugment_magnitude)] += 1
    published = [108.9] * 2 + [39.2] * 4 + [27.2] * 2 + [20.0] * 2
    assert epochs == 469
    assert lengths == pytest.approx(published, abs=1.5)


@pytest.mark.parametrize("budget", [20, 100, 200])
def test_equal_cost_costs_as_much(budget):
    epochs = epochs_of_equal_cost(budget, 224)
    assert epochs * Curriculum(epochs, 224).relative_cost() == pytest.approx(budget, rel=0.06)


def test_it_is_a_pure_function_of_the_epoch():
    curriculum = Curriculum(50, 224)
    assert [curriculum.stage(epoch) for epoch in (30, 3, 30)] == [Curriculum(50, 224).stage(e) for e in (30, 3, 30)]


def test_sizes_that_no_patch_fills_are_one_sentence():
    with pytest.raises(PeelVitError, match="images of 224 pixels are no multiple of 15"):
        Curriculum(10, 224, 15)
    with pytest.raises(PeelVitError, match="a curriculum of 0 epochs"):
        Curriculum(0, 224)
