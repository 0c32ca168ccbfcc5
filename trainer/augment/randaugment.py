"""RandAugment (Cubuk et al., 2020) in timm's spelling and with timm's operations, for whole batches on any device.

Each image draws its own operations and strengths, as in timm; images that drew the same operation go through it
together. Colour operations are kornia's functions where kornia has them. What differs from timm: images are float
rather than rounded to 8 bits after each operation; pixels from outside blend into the background colour at the edge;
bicubic uses torch's kernel (a = -0.75, Pillow -0.5); one interpolation serves all, never a random one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from host.errors import PeelVitError
from trainer.augment.geometry import affine

Floats = NDArray[np.float64]

_FULL = 10.0
"""Magnitude at which an operation reaches its full strength."""
_EXAMPLE = "rand-m9-mstd0.5-inc1"


@dataclass(frozen=True)
class Policy:
    """RandAugment's settings.

    magnitude: strength, 0 to 10. std: standard deviation of its normal noise; infinite: uniform from 0 to magnitude.
    layers: operations an image. probability: that a drawn operation is applied. increasing: operations that get
    stronger, rather than only different, with magnitude. maximum: magnitudes are cut to it.
    """

    magnitude: float = 10.0
    std: float = 0.0
    layers: int = 2
    probability: float = 0.5
    increasing: bool = False
    maximum: float = _FULL

    def at(self, magnitude: float) -> Policy:
        """The same policy at another magnitude, as a curriculum asks for."""
        return replace(self, magnitude=magnitude)


_SECTIONS: dict[str, Callable[[str], dict[str, float]]] = {
    "m": lambda value: {"magnitude": float(value)},
    "n": lambda value: {"layers": int(value)},
    "p": lambda value: {"probability": float(value)},
    "mstd": lambda value: {"std": math.inf if float(value) > 100 else float(value)},
    "mmax": lambda value: {"maximum": float(value)},
    "inc": lambda value: {"increasing": bool(int(value))},
}


def parse(text: str) -> Policy:
    """The policy that timm's string means, such as 'rand-m9-mstd0.5-inc1'; a sentence for any other string.

    Sections, in any order: m magnitude, n layers, p probability, mstd noise (above 100: uniform), mmax, inc 0 or 1.
    """
    first, *sections = text.split("-")
    if first != "rand":
        raise PeelVitError(f"the augmentation {text!r} is not known; use RandAugment as in {_EXAMPLE}")
    settings: dict[str, float] = {}
    for section in sections:
        key, value = re.fullmatch(r"([a-z]*)(.*)", section, re.DOTALL).groups()  # type: ignore[union-attr]
        try:
            settings |= _SECTIONS[key](value)
        except (KeyError, ValueError) as error:
            raise PeelVitError(
                f"{section!r} in the augmentation {text!r} is not known; use m, n, p, mstd, mmax or inc "
                f"followed by a number, as in {_EXAMPLE}"
            ) from error
    return Policy(**settings)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Strength:
    """How strongly each of b images is changed: level [b] from 0 to `maximum`, sign [b] of 1 or -1."""

    level: Floats
    sign: Floats
    increasing: bool

    @property
    def signed(self) -> Floats:
        """Level as a part of full strength, with its sign."""
        return self.sign * self.level / _FULL

    @property
    def enhancement(self) -> Floats:
        """Blending factor: 1 changes nothing, 0 takes all contrast away."""
        if self.increasing:
            return np.maximum(0.1, 1.0 + 0.9 * self.signed)
        return self.level / _FULL * 1.8 + 0.1

    def scaled_to(self, limit: int) -> NDArray[np.int64]:
        """Level as whole steps, 0 to `limit` at full strength."""
        return (self.level / _FULL * limit).astype(np.int64)


def rand_augment(
    images: Tensor, policy: Policy, fill: Tensor, interpolation: str, random: np.random.RandomState
) -> Tensor:
    """Images float [B, C, H, W] within 0..1, each changed by its own draw; `fill` [C] is the background colour."""
    images = images.clone()
    for _ in range(policy.layers):
        chosen, strength = _draw(policy, len(images), random)
        for number, operation in enumerate(_OPERATIONS):
            rows = np.flatnonzero(chosen == number)
            if len(rows):
                own = _Strength(strength.level[rows], strength.sign[rows], strength.increasing)
                where = torch.from_numpy(rows).to(images.device)
                images[where] = operation(images[where], own)
        _move(images, chosen, strength, fill, interpolation)
    return images


def _draw(policy: Policy, count: int, random: np.random.RandomState) -> tuple[NDArray[np.int64], _Strength]:
    """The operation of each image (-1: none) and its strength. Every draw is made whatever comes of it."""
    chosen = random.randint(0, len(_OPERATIONS) + len(_MOVES), count)
    skipped = random.rand(count) >= policy.probability
    noise, uniform = random.randn(count), random.rand(count)
    level = uniform * policy.magnitude if math.isinf(policy.std) else policy.magnitude + policy.std * noise
    sign = np.where(random.rand(count) > 0.5, -1.0, 1.0)
    strength = _Strength(np.clip(level, 0.0, policy.maximum), sign, policy.increasing)
    return np.where(skipped, -1, chosen), strength


def _move(images: Tensor, chosen: NDArray[np.int64], strength: _Strength, fill: Tensor, interpolation: str) -> None:
    """Apply the geometric operations in place: their maps differ, so one resampling serves them all."""
    rows = np.flatnonzero(chosen >= len(_OPERATIONS))
    if not len(rows):
        return
    height, width = images.shape[-2:]
    parts = strength.signed[rows]
    moves = chosen[rows] - len(_OPERATIONS)
    maps = np.stack([_MOVES[move](part, height, width) for move, part in zip(moves, parts, strict=True)])
    where = torch.from_numpy(rows).to(images.device)
    images[where] = affine(images[where], maps, fill, interpolation)


def _auto_contrast(images: Tensor, _: _Strength) -> Tensor:
    """Each channel stretched to 0..1; a constant channel stays."""
    low, high = images.amin((-2, -1), keepdim=True), images.amax((-2, -1), keepdim=True)
    return torch.where(high > low, (images - low) / (high - low).clamp_min(1e-6), images)


def _equalize(images: Tensor, _: _Strength) -> Tensor:
    from kornia.enhance import equalize

    return equalize(_rounded(images))


def _invert(images: Tensor, _: _Strength) -> Tensor:
    return 1.0 - images


def _posterize(images: Tensor, strength: _Strength) -> Tensor:
    from kornia.enhance import posterize

    bits = strength.scaled_to(4)
    return posterize(_rounded(images), torch.from_numpy(4 - bits if strength.increasing else bits).clamp(0, 8))


def _solarize(images: Tensor, strength: _Strength) -> Tensor:
    from kornia.enhance import solarize

    steps = np.minimum(256, strength.scaled_to(256))
    return solarize(images, torch.from_numpy((256 - steps if strength.increasing else steps) / 255).to(images))


def _solarize_add(images: Tensor, strength: _Strength) -> Tensor:
    """Add to the darker half; kornia's `solarize(additions=)` adds to all pixels and inverts the brighter half."""
    added = _column(np.minimum(128, strength.scaled_to(110)) / 255, images)
    return torch.where(images < 128 / 255, (images + added).clamp_max(1.0), images)


def _color(images: Tensor, strength: _Strength) -> Tensor:
    from kornia.enhance import adjust_saturation_with_gray_subtraction

    return adjust_saturation_with_gray_subtraction(images, torch.from_numpy(strength.enhancement))


def _contrast(images: Tensor, strength: _Strength) -> Tensor:
    from kornia.enhance import adjust_contrast_with_mean_subtraction

    return adjust_contrast_with_mean_subtraction(images, torch.from_numpy(strength.enhancement))


def _brightness(images: Tensor, strength: _Strength) -> Tensor:
    return (images * _column(strength.enhancement, images)).clamp_max(1.0)


def _sharpness(images: Tensor, strength: _Strength) -> Tensor:
    from kornia.enhance import sharpness

    return sharpness(images, torch.from_numpy(strength.enhancement))


def _rounded(images: Tensor) -> Tensor:
    """The nearest 8-bit levels, for operations that read levels."""
    return (images * 255.0).round_() / 255.0


def _column(values: Floats, images: Tensor) -> Tensor:
    """One value an image, shaped to multiply with the images."""
    return torch.from_numpy(values).to(images)[:, None, None, None]


_OPERATIONS: tuple[Callable[[Tensor, _Strength], Tensor], ...] = (
    _auto_contrast, _equalize, _invert, _posterize, _solarize, _solarize_add,
    _color, _contrast, _brightness, _sharpness,
)  # fmt: skip


def _rotation(part: float, height: int, width: int) -> Floats:
    """Up to 30 degrees about the centre."""
    cosine, sine = math.cos(math.radians(30.0 * part)), math.sin(math.radians(30.0 * part))
    x, y = width / 2, height / 2
    return np.array([[cosine, -sine, x - cosine * x + sine * y], [sine, cosine, y - sine * x - cosine * y]])


def _shear_x(part: float, height: int, width: int) -> Floats:
    """Rows shifted by up to 0.3 of their distance from the top."""
    return np.array([[1.0, 0.3 * part, 0.0], [0.0, 1.0, 0.0]])


def _shear_y(part: float, height: int, width: int) -> Floats:
    """Columns shifted by up to 0.3 of their distance from the left."""
    return np.array([[1.0, 0.0, 0.0], [0.3 * part, 1.0, 0.0]])


def _translation_x(part: float, height: int, width: int) -> Floats:
    """Shifted by up to 0.45 of the width."""
    return np.array([[1.0, 0.0, 0.45 * part * width], [0.0, 1.0, 0.0]])


def _translation_y(part: float, height: int, width: int) -> Floats:
    """Shifted by up to 0.45 of the height."""
    return np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.45 * part * height]])


_MOVES: tuple[Callable[[float, int, int], Floats], ...] = (
    _rotation, _shear_x, _shear_y, _translation_x, _translation_y,
)  # fmt: skip
