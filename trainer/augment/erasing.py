"""Random erasing (Zhong et al., 2020) as timm does it: boxes of normalised images are filled with noise or zeros."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_AREA = (0.02, 1.0 / 3.0)
_LOG_ASPECT = (math.log(0.3), math.log(1.0 / 0.3))
_ATTEMPTS = 10

Boxes = NDArray[np.int64]
"""[n, 4]: top, bottom, left, right of each box, the ends excluded; empty where top equals bottom."""


def random_erasing(
    images: Tensor,
    probability: float,
    mode: str,
    count: int,
    random: np.random.RandomState,
    noise: torch.Generator,
) -> Tensor:
    """Normalised images float [B, C, H, W], each erased with `probability` in 1 to `count` boxes.

    Boxes are 2 to 33 % of the image (divided by their number), of aspect 0.3 to 3.3. `mode` 'pixel' fills with normal
    noise from `noise`, a generator of the images' device, 'rand' with one such value a channel, 'const' with zeros.
    """
    rows = np.flatnonzero(random.rand(len(images)) < probability)
    boxes_wanted = random.randint(1, count + 1, len(images))[rows]
    if not len(rows):
        return images
    where = torch.from_numpy(rows).to(images.device)
    erased = images[where]
    for number in range(count):
        boxes = _boxes(len(rows), images.shape[-2], images.shape[-1], boxes_wanted, random)
        boxes[number >= boxes_wanted] = 0
        erased = torch.where(inside(boxes, erased), _filling(erased, mode, noise), erased)
    return images.index_copy(0, where, erased)


def inside(boxes: Boxes, images: Tensor) -> Tensor:
    """Boolean [B, 1, H, W] on the images' device: which pixels of each image lie in its box [B, 4]."""
    top, bottom, left, right = torch.from_numpy(boxes).to(images.device).unbind(1)
    y = torch.arange(images.shape[-2], device=images.device)
    x = torch.arange(images.shape[-1], device=images.device)
    in_rows = (y >= top[:, None]) & (y < bottom[:, None])
    in_columns = (x >= left[:, None]) & (x < right[:, None])
    return (in_rows[:, :, None] & in_columns[:, None, :])[:, None]


def _boxes(n: int, height: int, width: int, parts: NDArray[np.int64], random: np.random.RandomState) -> Boxes:
    """The first of ten drawn boxes that fits, for each image; none does: an empty box."""
    area = random.uniform(*_AREA, (_ATTEMPTS, n)) * height * width / parts
    aspect = np.exp(random.uniform(*_LOG_ASPECT, (_ATTEMPTS, n)))
    heights, widths = np.rint(np.sqrt(area * aspect)).astype(int), np.rint(np.sqrt(area / aspect)).astype(int)
    fits = (heights < height) & (widths < width)
    chosen = fits.argmax(0), np.arange(n)
    any_fits = fits.any(0)
    box_height, box_width = heights[chosen] * any_fits, widths[chosen] * any_fits
    top = np.floor(random.rand(n) * (height - box_height + 1)).astype(int)
    left = np.floor(random.rand(n) * (width - box_width + 1)).astype(int)
    return np.stack([top, top + box_height, left, left + box_width], axis=1).astype(np.int64)


def _filling(images: Tensor, mode: str, noise: torch.Generator) -> Tensor:
    if mode == "const":
        return torch.zeros_like(images)
    shape = images.shape if mode == "pixel" else (*images.shape[:2], 1, 1)
    return torch.randn(shape, generator=noise, device=images.device, dtype=images.dtype)
