"""Colour jitter: brightness, contrast and saturation, each image by its own factors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def color_jitter(images: Tensor, amount: float, random: np.random.RandomState) -> Tensor:
    """Images float [B, C, H, W] within 0..1 with factors uniform in max(0, 1 - amount)..1 + amount.

    The order of the three is drawn once a batch, where torchvision (which timm uses) draws it for each image.
    """
    from kornia.enhance import (
        adjust_brightness_accumulative,
        adjust_contrast_with_mean_subtraction,
        adjust_saturation_with_gray_subtraction,
    )

    changes = (
        adjust_brightness_accumulative,
        adjust_contrast_with_mean_subtraction,
        adjust_saturation_with_gray_subtraction,
    )
    factors = random.uniform(max(0.0, 1.0 - amount), 1.0 + amount, (len(changes), len(images)))
    for number in random.permutation(len(changes)):
        images = changes[number](images, torch.from_numpy(factors[number]))
    return images
