"""From bytes to what the model takes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Normalise:
    """(v - mean) / std a channel, on pixels scaled to 0..1; training and evaluation share it."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device | str) -> None:
        self.mean = torch.tensor(mean, device=device)
        self._std = torch.tensor(std, device=device)

    def __call__(self, images: Tensor) -> Tensor:
        """Float [B, C, H, W] of images within 0..1."""
        return (images - self.mean[:, None, None]).div_(self._std[:, None, None])


def scaled(images: Tensor) -> Tensor:
    """Bytes uint8 as float32 within 0..1."""
    return images.float().div_(255.0)
