from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.data.pixels import PixelQuantiser, to_patches

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 12, 8, 3), dtype=np.uint8)


@given(st.floats(0, 1), st.floats(0.01, 2), st.integers(-4, 20))
def test_table_is_the_exact_value_rounded_half_up_and_saturated(mean: float, std: float, fraction_bits: int):
    table = PixelQuantiser((mean,), (std,), fraction_bits).table[0]
    for value in range(0, 256, 5):
        exact = (Fraction(value, 255) - Fraction(mean)) / Fraction(std) * Fraction(2) ** fraction_bits
        nearest = max(-32767, min(32767, floor(exact + Fraction(1, 2))))
        # float64 may fall on the other side of a tie, never further away.
        assert abs(int(table[value]) - nearest) <= (abs(exact + Fraction(1, 2) - round(exact + Fraction(1, 2))) < 1e-6)


@pytest.mark.parametrize(
    "mean, std, fraction_bits, value, expected",
    [
        (0.0, 1.0, 0, 255, 1),
        (0.5, 1.0, 0, 0, 0),  # -0.5 rounds up
        (0.5, 1.0, 0, 255, 1),  # 0.5 rounds up
        (1.0, 2.0, 1, 0, -1),
        (0.0, 1.0, 15, 255, 32767),  # 32768 saturates
        (1.0, 1.0, 15, 0, -32767),  # and does so symmetrically
        (0.0, 1.0, 40, 128, 32767),
    ],
)
def test_rounding_and_saturation(mean: float, std: float, fraction_bits: int, value: int, expected: int):
    assert PixelQuantiser((mean,), (std,), fraction_bits).table[0, value] == expected


def test_each_channel_uses_its_own_table():
    quantiser = PixelQuantiser((0.1, 0.2, 0.3), (0.5, 0.6, 0.7), 12)
    quantised = quantiser(IMAGES)
    assert quantised.dtype == np.int16
    for channel in range(3):
        assert np.array_equal(quantised[..., channel], quantiser.table[channel][IMAGES[..., channel]])


def test_grey_images():
    assert PixelQuantiser((0.286,), (0.353,), 12)(IMAGES[..., :1]).shape == (3, 12, 8, 1)


def test_channels_must_agree():
    with pytest.raises(ValueError, match="3 channels, normalisation for 1"):
        PixelQuantiser((0.286,), (0.353,), 12)(IMAGES)


@pytest.mark.parametrize("mean, std", [((0.1,), (0.2, 0.3)), ((0.1,), (0.0,)), ((0.1, 0.1), (0.2, -0.2))])
def test_impossible_normalisation(mean, std):
    with pytest.raises(ValueError, match="must pair up"):
        PixelQuantiser(mean, std, 12)


@pytest.mark.parametrize("patch", [1, 2, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_patches_place_every_pixel(patch: int, channels: int):
    images = np.arange(2 * 12 * 8 * channels, dtype=np.int16).reshape(2, 12, 8, channels)
    patches = to_patches(images, patch)
    columns = 8 // patch
    assert patches.shape == (2, (12 // patch) * columns, channels * patch * patch)
    for n, y, x, c in np.ndindex(images.shape):
        position = (y // patch) * columns + x // patch
        feature = (c * patch + y % patch) * patch + x % patch
        assert patches[n, position, feature] == images[n, y, x, c]


def test_patches_times_a_flattened_weight_are_torchs_convolution():
    import torch

    images = IMAGES.astype(np.int16)
    weight = np.random.default_rng(1).integers(-9, 9, (5, 3, 4, 4))
    product = to_patches(images, 4).astype(np.int64) @ weight.reshape(5, -1).T
    planes = torch.from_numpy(images).permute(0, 3, 1, 2).double()
    expected = torch.nn.functional.conv2d(planes, torch.from_numpy(weight).double(), stride=4)
    assert np.array_equal(product, expected.flatten(2).transpose(1, 2).numpy().astype(np.int64))


def test_images_that_no_patch_divides():
    with pytest.raises(ValueError, match="12x8 pixels cannot be cut into patches of 5x5"):
        to_patches(IMAGES.astype(np.int16), 5)
