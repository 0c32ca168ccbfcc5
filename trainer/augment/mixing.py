"""Mixup (Zhang et al., 2018) and cutmix (Yun et al., 2019) with timm's semantics: partners come in reverse order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.augment.erasing import Boxes, inside
from trainer.augment.options import AugmentOptions


@dataclass(frozen=True)
class Mix:
    """How B images are mixed: `share` [B] that stays, and `boxes` [B, 4] taken from the partner (empty: mixup)."""

    share: NDArray[np.float64]
    boxes: Boxes

    def __post_init__(self) -> None:
        if len(self.share) != len(self.boxes):
            raise ValueError(f"{len(self.share)} shares with {len(self.boxes)} boxes")


def draw_mix(options: AugmentOptions, count: int, height: int, width: int, random: np.random.RandomState) -> Mix:
    """A draw for `count` images: one for all, one a pair or one an element, as `mixup_mode` says.

    lambda ~ Beta(alpha, alpha) of mixup or of cutmix, chosen by `mixup_switch_prob` where both are on, and 1 with
    probability 1 - `mixup_prob`. Cutmix cuts int(H sqrt(1 - lambda)) x int(W sqrt(1 - lambda)) around a uniform centre;
    where the border clips the box, the share is corrected to 1 - area / (H W).
    """
    draws = {"batch": 1, "pair": (count + 1) // 2, "elem": count}[options.mixup_mode]
    share, boxes = _draws(options, draws, height, width, random)
    slot = np.arange(count)
    source = {"batch": slot * 0, "pair": np.minimum(slot, count - 1 - slot), "elem": slot}[options.mixup_mode]
    return Mix(share[source], boxes[source])


def _draws(
    options: AugmentOptions, draws: int, height: int, width: int, random: np.random.RandomState
) -> tuple[NDArray[np.float64], Boxes]:
    mixed = random.rand(draws) < options.mixup_prob
    cut = random.rand(draws) < options.mixup_switch_prob
    if not (options.mixup and options.cutmix):
        cut = np.full(draws, bool(options.cutmix))
    by_mixup, by_cutmix = (random.beta(alpha or 1.0, alpha or 1.0, draws) for alpha in (options.mixup, options.cutmix))
    share = np.where(mixed, np.where(cut, by_cutmix, by_mixup), 1.0)
    boxes = _boxes(share, height, width, random) * (mixed & cut)[:, None]
    area = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
    return np.where(mixed & cut, 1.0 - area / (height * width), share), boxes


def _boxes(share: NDArray[np.float64], height: int, width: int, random: np.random.RandomState) -> Boxes:
    sides = []
    for length in (height, width):
        cut = (length * np.sqrt(1.0 - share)).astype(np.int64)
        centre = random.randint(0, length, len(share))
        sides += [np.clip(centre - cut // 2, 0, length), np.clip(centre + (cut + 1) // 2, 0, length)]
    return np.stack(sides, axis=1).astype(np.int64)


def mix_images(images: Tensor, mix: Mix) -> Tensor:
    """Images float [B, C, H, W], each mixed with its partner, the image of slot B - 1 - i."""
    partners = images.flip(0)
    cut = mix.boxes.any(axis=1)
    if cut.all():
        return torch.where(inside(mix.boxes, images), partners, images)
    share = torch.from_numpy(np.where(cut, 1.0, mix.share)).to(images)[:, None, None, None]
    mixed = partners.lerp(images, share)
    return torch.where(inside(mix.boxes, images), partners, mixed) if cut.any() else mixed
