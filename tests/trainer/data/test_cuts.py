"""Random and central cuts of pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from host.errors import PeelVitError
from trainer.data.cuts import Cuts
from trainer.data.randomness import random_state

sides = st.integers(1, 60)


@given(sides, sides, st.integers(1, 20), st.integers(0, 50), st.sampled_from(["bilinear", "bicubic", "random"]))
def test_every_cut_has_the_size_asked_for(width, height, size, seed, interpolation):
    picture = Image.new("RGB", (width, height), (10, 20, 30))
    cuts = Cuts(interpolation=interpolation)
    for pixels in (cuts.random(picture, size, random_state(seed)), cuts.centre(picture, size)):
        assert pixels.shape == (size, size, 3)
        assert (pixels == (10, 20, 30)).all()


@given(st.integers(20, 200), st.integers(20, 200), st.integers(0, 200))
def test_random_boxes_lie_inside_with_area_and_aspect_in_range(width, height, seed):
    left, top, cut_width, cut_height = Cuts()._random_box((width, height), random_state(seed))
    assert 0 <= left <= left + cut_width <= width
    assert 0 <= top <= top + cut_height <= height
    assert 0.7 <= cut_width / cut_height <= 1.45  # 3/4 to 4/3, rounded to pixels


def test_random_cuts_cover_the_range_of_areas():
    areas = []
    for seed in range(300):
        *_, width, height = Cuts()._random_box((224, 224), random_state(seed))
        areas.append(width * height / 224**2)
    assert min(areas) < 0.15
    assert 0.85 < max(areas) <= 1.0
    assert 0.4 < np.mean(areas) < 0.6


def test_the_same_draw_gives_the_same_pixels():
    picture = Image.fromarray(np.random.RandomState(0).randint(0, 256, (40, 50, 3)).astype(np.uint8))
    first, second, other = (Cuts().random(picture, 16, random_state(*words)) for words in ((1, 2), (1, 2), (2, 1)))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_the_centre_of_a_whole_picture_is_the_picture():
    pixels = np.random.RandomState(0).randint(0, 256, (32, 32, 3)).astype(np.uint8)
    assert np.array_equal(Cuts(crop_pct=1.0).centre(Image.fromarray(pixels), 32), pixels)


@pytest.mark.parametrize(
    "options",
    [{"scale": (0.5, 0.1)}, {"ratio": (0.0, 1.0)}, {"crop_pct": 0.0}, {"crop_pct": 1.1}, {"interpolation": "cubic"}],
)
def test_impossible_cuts_are_refused(options):
    with pytest.raises(PeelVitError):
        Cuts(**options)
