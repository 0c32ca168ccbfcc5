"""From pixels to what the patch embedding reads: 16-bit fixed point, cut into patches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_INT16_LIMIT = 32767


class PixelQuantiser:
    """Normalise uint8 pixels into int16 mantissas m, of value m * 2^-fraction_bits.

    m = floor(((v / 255 - mean) / std) * 2^fraction_bits + 1/2), saturated to +-32767. There are only 256 pixel values,
    so the 256-entry table a channel is computed once in float64 and the result is the same everywhere.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], fraction_bits: int) -> None:
        if len(mean) != len(std) or min(std) <= 0:
            raise ValueError(f"means {mean} and deviations {std} must pair up, with deviations above 0")
        self.fraction_bits = fraction_bits
        values = np.arange(256, dtype=np.float64) / 255
        normalised = (values - np.array(mean)[:, None]) / np.array(std)[:, None]
        rounded = np.floor(normalised * 2.0**fraction_bits + 0.5)
        self.table: NDArray[np.int16] = np.clip(rounded, -_INT16_LIMIT, _INT16_LIMIT).astype(np.int16)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.int16]:
        """int16 [n, H, W, C] of uint8 [n, H, W, C]; C must be the number of channels of the table."""
        channels = len(self.table)
        if images.shape[-1] != channels:
            raise ValueError(f"images with {images.shape[-1]} channels, normalisation for {channels}")
        # Channel by channel, as patches want them: indexing neighbours is several times faster than picking them.
        pixels = np.ascontiguousarray(np.moveaxis(images, -1, 0))
        planes = np.stack([row.take(plane) for row, plane in zip(self.table, pixels, strict=True)])
        return np.moveaxis(planes, 0, -1)


def to_patches(images: NDArray[np.int16], patch: int) -> NDArray[np.int16]:
    """Cut int16 [n, H, W, C] into patches [n, N, C * patch * patch], patches row by row.

    Features are ordered (channel, row, column) like a flattened torch convolution weight [D, C, patch, patch].
    """
    count, height, width, channels = images.shape
    if height % patch or width % patch:
        raise ValueError(f"images of {height}x{width} pixels cannot be cut into patches of {patch}x{patch}")
    rows, columns = height // patch, width // patch
    blocks = images.reshape(count, rows, patch, columns, patch, channels).transpose(0, 1, 3, 5, 2, 4)
    return np.ascontiguousarray(blocks).reshape(count, rows * columns, channels * patch * patch)
