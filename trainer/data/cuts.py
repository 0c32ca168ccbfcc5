"""Cutting a square of a given size from a picture of any size: at random to train, from the centre to evaluate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.data.pictures import pillow
from host.errors import PeelVitError

_ATTEMPTS = 10
_FILTERS = {"bilinear": "BILINEAR", "bicubic": "BICUBIC"}
RANDOM = "random"


@dataclass(frozen=True)
class Cuts:
    """How pictures are cut.

    scale: part of the area that a random crop takes; ratio: its aspect; both (least, most).
    interpolation: 'bilinear', 'bicubic' or, in training, 'random' of the two.
    crop_pct: part of the shorter side that evaluation keeps.
    """

    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: str = "bicubic"
    crop_pct: float = 0.9

    def __post_init__(self) -> None:
        for name, (least, most) in (("scale", self.scale), ("ratio", self.ratio)):
            if not 0 < least <= most:
                raise PeelVitError(f"{name} {least} to {most} is no range of positive numbers; give the lower first")
        if not 0 < self.crop_pct <= 1:
            raise PeelVitError(f"crop_pct cannot be {self.crop_pct}; use a part of the picture above 0 and up to 1")
        if self.interpolation not in (*_FILTERS, RANDOM):
            raise PeelVitError(
                f"interpolation cannot be {self.interpolation!r}; use one of {', '.join((*_FILTERS, RANDOM))}"
            )

    def random(self, picture: Any, size: int, random: np.random.RandomState) -> NDArray[np.uint8]:
        """A randomly resized crop uint8 [size, size, 3] of an RGB picture (Szegedy et al., 2015), as timm draws it.

        Ten tries at an area uniform in `scale` and an aspect log-uniform in `ratio`; if none fits, the largest
        centred crop whose aspect is within `ratio`.
        """
        left, top, width, height = self._random_box(picture.size, random)
        name = self.interpolation
        if name == RANDOM:
            name = tuple(_FILTERS)[random.randint(len(_FILTERS))]
        cut = picture.crop((left, top, left + width, top + height))
        return np.asarray(cut.resize((size, size), _filter(name)))

    def centre(self, picture: Any, size: int) -> NDArray[np.uint8]:
        """The centre uint8 [size, size, 3]: shorter side resized to floor(size / crop_pct), as timm evaluates."""
        shorter = math.floor(size / self.crop_pct)
        width, height = (max(shorter, int(shorter * side / min(picture.size))) for side in picture.size)
        name = "bilinear" if self.interpolation == RANDOM else self.interpolation
        resized = picture.resize((width, height), _filter(name))
        left, top = round((width - size) / 2), round((height - size) / 2)
        return np.asarray(resized.crop((left, top, left + size, top + size)))

    def _random_box(self, shape: tuple[int, int], random: np.random.RandomState) -> tuple[int, int, int, int]:
        """(left, top, width, height) of a random crop."""
        whole_width, whole_height = shape
        low, high = (math.log(limit) for limit in self.ratio)
        for _ in range(_ATTEMPTS):
            area = random.uniform(*self.scale) * whole_width * whole_height
            aspect = math.exp(random.uniform(low, high))
            width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < width <= whole_width and 0 < height <= whole_height:
                top = random.randint(whole_height - height + 1)
                left = random.randint(whole_width - width + 1)
                return left, top, width, height
        return self._central_box(whole_width, whole_height)

    def _central_box(self, width: int, height: int) -> tuple[int, int, int, int]:
        least, most = self.ratio
        if width < least * height:
            cut_width, cut_height = width, max(1, round(width / least))
        elif width > most * height:
            cut_width, cut_height = max(1, round(height * most)), height
        else:
            cut_width, cut_height = width, height
        return (width - cut_width) // 2, (height - cut_height) // 2, cut_width, cut_height


def _filter(name: str) -> Any:
    return getattr(pillow().Resampling, _FILTERS[name])
