"""Moving pixels: padded crops, mirrors, affine maps and smaller images, each for a whole batch on its device."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor


def random_crop(images: Tensor, padding: int, random: np.random.RandomState) -> Tensor:
    """Each image [B, C, H, W] shifted by up to `padding` pixels either way; zeros come in. Any dtype."""
    height, width = images.shape[-2:]
    top, left = torch.from_numpy(random.randint(0, 2 * padding + 1, (2, len(images)))).to(images.device)
    padded = F.pad(images, (padding, padding, padding, padding))
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view [B, C, tops, lefts, H, W]
    return windows[torch.arange(len(images), device=images.device), :, top, left]


def random_flip(images: Tensor, probability: float, dim: int, random: np.random.RandomState) -> Tensor:
    """Images [B, C, H, W], each mirrored along `dim` (-1: left and right) with `probability`."""
    mirrored = torch.from_numpy(random.rand(len(images)) < probability).to(images.device)
    return torch.where(mirrored[:, None, None, None], images.flip(dim), images)


def affine(images: Tensor, maps: NDArray[np.float64], fill: Tensor, interpolation: str = "bilinear") -> Tensor:
    """Images float [B, C, H, W] resampled by `maps` [B, 2, 3]; `fill` [C] comes in from outside.

    A map (a, b, c; d, e, f) gives for each output pixel centre (x, y), in pixels from the top left corner, the place
    (ax + by + c, dx + ey + f) it is taken from: Pillow's `Image.transform(AFFINE)`.
    """
    height, width = images.shape[-2:]
    normalised = torch.from_numpy(_in_unit_coordinates(maps, height, width)).to(images)
    grid = F.affine_grid(normalised, list(images.shape), align_corners=False)
    background = fill.to(images)[None, :, None, None]
    moved = F.grid_sample(images - background, grid, mode=interpolation, align_corners=False) + background
    return moved.clamp_(0.0, 1.0) if interpolation == "bicubic" else moved


def _in_unit_coordinates(maps: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """The same maps in `affine_grid`'s coordinates, where x = (u + 1) W / 2 and y = (v + 1) H / 2."""
    to_pixels = np.array([[width / 2, 0, width / 2], [0, height / 2, height / 2], [0, 0, 1]])
    square = np.concatenate([maps, np.broadcast_to([[0.0, 0.0, 1.0]], (len(maps), 1, 3))], axis=1)
    return (np.linalg.inv(to_pixels) @ square @ to_pixels)[:, :2]


def resized(images: Tensor, size: int, method: str) -> Tensor:
    """Images float [B, C, H, W] as [B, C, size, size].

    'bicubic' (antialiased) stands beside the Lanczos filter with which EfficientTrain++'s published code makes its
    smaller images; 'fourier' is the low-frequency crop by which the paper defines them; 'area' takes means.
    """
    if images.shape[-2:] == (size, size):
        return images
    if method == "fourier" and size < min(images.shape[-2:]):
        return low_frequency_crop(images, size)
    if method == "area":
        return F.interpolate(images, size=(size, size), mode="area")
    return F.interpolate(images, size=(size, size), mode="bicubic", antialias=True, align_corners=False)


def low_frequency_crop(images: Tensor, size: int) -> Tensor:
    """The `size` x `size` image that holds just the lowest frequencies of each image float [B, C, H, W].

    X' = size^2 / (H W) * Re F^-1(crop(F(X))), the crop taken around the zero frequency (Wang et al., "EfficientTrain",
    ICCV 2023, section 4.1). The factor keeps brightness: F^-1 divides by size^2 where F^-1 of the whole divided by HW.
    """
    height, width = images.shape[-2:]
    top, left = height // 2 - size // 2, width // 2 - size // 2
    spectrum = torch.fft.fftshift(torch.fft.fft2(images), dim=(-2, -1))
    lowest = torch.fft.ifftshift(spectrum[..., top : top + size, left : left + size], dim=(-2, -1))
    return torch.fft.ifft2(lowest).real * (size * size / (height * width))
