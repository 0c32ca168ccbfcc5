"""RandAugment: timm's spelling, and each operation beside Pillow's, which timm uses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from host.errors import PeelVitError
from trainer.augment import randaugment
from trainer.augment.geometry import affine, low_frequency_crop, resized
from trainer.augment.randaugment import Policy, parse, rand_augment

SIDE = 24
FILL = torch.tensor([0.5, 0.5, 0.5])


@pytest.mark.parametrize(
    "text, policy",
    [
        ("rand-m9-mstd0.5-inc1", Policy(9, 0.5, increasing=True)),
        ("rand-n3-m15-mmax20-p0.7", Policy(15, layers=3, maximum=20, probability=0.7)),
        ("rand-mstd101", Policy(std=math.inf)),
        ("rand", Policy()),
    ],
)
def test_the_spelling_is_that_of_timm(text, policy):
    assert parse(text) == policy


@pytest.mark.parametrize("text", ["original", "rand-x3", "rand-m", "rand-mtwo", "rand-m9-", "3a", "rand-tweights"])
def test_other_spellings_are_one_sentence(text):
    with pytest.raises(PeelVitError, match=r"is not known; use .*rand-m9-mstd0\.5-inc1"):
        parse(text)


def _picture(seed: int = 0) -> np.ndarray:
    """A smooth picture of middling contrast: no operation saturates it by accident, and resampling is benign."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    waves = [np.sin(2 * np.pi * (random.rand() * x + random.rand() * y + random.rand())) for _ in range(3)]
    return (110 + 70 * np.stack(waves, axis=-1)).astype(np.uint8)


def _by_pillow(name: str, picture: Image.Image, strength: randaugment._Strength) -> Image.Image:
    """What timm does with the same level and sign."""
    level, factor = strength.level[0], strength.enhancement[0]
    steps = {limit: int(level / 10 * limit) for limit in (4, 256, 110)}
    up = strength.increasing
    if name == "solarize_add":
        return picture.point([min(255, v + steps[110]) if v < 128 else v for v in range(256)] * 3)
    return {
        "auto_contrast": lambda: ImageOps.autocontrast(picture),
        "equalize": lambda: ImageOps.equalize(picture),
        "invert": lambda: ImageOps.invert(picture),
        "posterize": lambda: ImageOps.posterize(picture, 4 - steps[4] if up else steps[4]),
        "solarize": lambda: ImageOps.solarize(picture, 256 - steps[256] if up else steps[256]),
        "color": lambda: ImageEnhance.Color(picture).enhance(factor),
        "contrast": lambda: ImageEnhance.Contrast(picture).enhance(factor),
        "brightness": lambda: ImageEnhance.Brightness(picture).enhance(factor),
        "sharpness": lambda: ImageEnhance.Sharpness(picture).enhance(factor),
    }[name]()


_NAMES = [operation.__name__.lstrip("_") for operation in randaugment._OPERATIONS]


@pytest.mark.parametrize("operation, name", list(zip(randaugment._OPERATIONS, _NAMES, strict=True)), ids=_NAMES)
@given(st.floats(0, 10), st.sampled_from([-1.0, 1.0]), st.booleans(), st.integers(0, 20))
def test_colour_operations_are_those_of_pillow(operation, name, level, sign, increasing, seed):
    if name == "posterize" and not increasing and int(level / 10 * 4) == 0:
        level = 3.0  # Pillow refuses to keep no bits
    pixels = _picture(seed)
    strength = randaugment._Strength(np.array([level]), np.array([sign]), increasing)
    ours = operation(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255, strength)
    theirs = np.asarray(_by_pillow(name, Image.fromarray(pixels), strength)).astype(float)
    assert np.abs(ours[0].permute(1, 2, 0).numpy() * 255 - theirs).max() <= 2.01  # Pillow rounds on its way


@pytest.mark.parametrize("move", randaugment._MOVES, ids=lambda move: move.__name__)
@given(st.floats(-1, 1), st.integers(0, 5))
def test_geometric_operations_are_those_of_pillow(move, part, seed):
    pixels = _picture(seed)
    matrix = move(part, SIDE, SIDE)
    ours = affine(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255, matrix[None], FILL)
    coefficients = tuple(matrix.flatten())
    transform = (Image.Transform.AFFINE, coefficients)
    theirs = Image.fromarray(pixels).transform((SIDE, SIDE), *transform, Image.Resampling.BILINEAR)
    inside = Image.new("L", (SIDE, SIDE), 255).transform((SIDE, SIDE), *transform, Image.Resampling.BILINEAR)
    rows, columns = np.nonzero(np.asarray(inside))
    x = matrix[0] @ np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    y = matrix[1] @ np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    whole = (x >= 0.51) & (x <= SIDE - 0.51) & (y >= 0.51) & (y <= SIDE - 0.51)  # edges blend with the background
    difference = np.abs(ours[0].permute(1, 2, 0).numpy() * 255 - np.asarray(theirs))[rows[whole], columns[whole]]
    assert difference.size == 0 or difference.max() <= 1.01


def test_rotation_turns_like_pillow_rotate():
    pixels = _picture()
    matrix = randaugment._rotation(1.0, SIDE, SIDE)
    ours = affine(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255, matrix[None], FILL)[0].permute(1, 2, 0) * 255
    theirs = np.asarray(Image.fromarray(pixels).rotate(30, Image.Resampling.BILINEAR))
    centre = slice(8, 16)
    assert np.abs(ours.numpy()[centre, centre] - theirs[centre, centre]).max() <= 1.01


def test_background_comes_in_from_outside():
    moved = affine(torch.zeros(1, 3, 8, 8), randaugment._translation_x(1.0, 8, 8)[None], torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(moved[0, :, 4, 7], torch.tensor([0.1, 0.2, 0.3]))
    assert not moved[0, :, :, 0].any()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_stay_within_0_and_1_and_each_draws_its_own(interpolation, channels):
    images = torch.from_numpy(np.stack([_picture()] * 40)).permute(0, 3, 1, 2)[:, :channels] / 255
    policy = parse("rand-m9-mstd0.5-inc1")
    changed = rand_augment(images, policy, FILL[:channels], interpolation, np.random.RandomState(1))
    assert changed.shape == images.shape
    assert 0 <= changed.min() <= changed.max() <= 1
    assert len({tuple(image.flatten()[::7].tolist()) for image in changed}) > 20


def test_what_an_image_draws_does_not_depend_on_its_content():
    policy = parse("rand-m9-mstd0.5-inc1")
    first = torch.from_numpy(np.stack([_picture(seed) for seed in range(6)])).permute(0, 3, 1, 2) / 255
    second = first.clone()
    second[0] = 0.3
    both = [rand_augment(images, policy, FILL, "bilinear", np.random.RandomState(2)) for images in (first, second)]
    assert torch.equal(both[0][1:], both[1][1:])


def test_every_operation_is_drawn_about_equally():
    chosen, _ = randaugment._draw(Policy(), 30000, np.random.RandomState(0))
    counts = np.bincount(chosen + 1, minlength=16)
    assert counts[0] / 30000 == pytest.approx(0.5, abs=0.02)
    assert (counts[1:] / 15000 * 15 > 0.85).all()


@given(st.integers(2, 12), st.integers(0, 5))
def test_the_low_frequency_crop_keeps_low_frequencies_exactly(half, seed):
    """A picture without frequencies above the crop's comes back as its own samples."""
    size, whole = 2 * half, 48
    random = np.random.RandomState(seed)
    frequencies = random.randint(0, half, (4, 2))
    amplitudes, phases = random.rand(4), 7 * random.rand(4)

    def drawn(side: int) -> torch.Tensor:
        y, x = np.mgrid[0:side, 0:side] / side
        waves = [
            amplitude * np.cos(2 * np.pi * (u * x + v * y) + phase)
            for (u, v), amplitude, phase in zip(frequencies, amplitudes, phases, strict=True)
        ]
        return torch.from_numpy(np.sum(waves, axis=0).astype(np.float32))[None, None]

    torch.testing.assert_close(low_frequency_crop(drawn(whole), size), drawn(size), atol=1e-4, rtol=0)


@pytest.mark.parametrize("method", ["bicubic", "fourier", "area"])
def test_resizing_to_the_same_size_changes_nothing(method):
    images = torch.rand(2, 3, 8, 8)
    assert resized(images, 8, method) is images
    assert resized(images, 12, method).shape == (2, 3, 12, 12)
