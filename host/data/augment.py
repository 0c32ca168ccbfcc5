"""Augmentation whose random bits depend only on (seed, epoch, example): any order and any resume gives equal pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_OFFSET_BITS = 31


def random_bits(seed: int, epoch: int, indices: NDArray[np.int64]) -> NDArray[np.uint64]:
    """64 hashed bits an example, uint64 [n]: SplitMix64 chained over seed, epoch and example index."""
    state = np.zeros(len(indices), np.uint64)
    for word in (seed, epoch, indices):
        state = _splitmix64(state ^ _as_uint64(word))
    return state


@dataclass(frozen=True)
class RandomCropFlip:
    """Shift each image by up to `padding` pixels (zeros come in) and mirror every second one.

    `padding` defaults to an eighth of the height: 4 pixels for 32. `flip` mirrors left and right; turn it off where
    that changes the meaning, as for digits.
    """

    padding: int | None = None
    flip: bool = True

    def __call__(
        self, images: NDArray[np.uint8], indices: NDArray[np.int64], epoch: int, seed: int
    ) -> NDArray[np.uint8]:
        """Augmented copies uint8 [n, H, W, C] of `images`, the examples `indices` [n], in `epoch`."""
        count, height, width, _ = images.shape
        padding = height // 8 if self.padding is None else self.padding
        bits = random_bits(seed, epoch, indices)
        top = _below(bits, 2 * padding + 1)
        left = _below(bits >> np.uint64(_OFFSET_BITS), 2 * padding + 1)
        mirrored = bits >> np.uint64(63) != 0 if self.flip else np.zeros(count, bool)
        padded = np.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
        shifted = np.empty_like(images)
        for index in range(count):  # slices copy rows whole, many times faster than gathering pixels
            window = padded[index, top[index] :, left[index] :][:height, :width]
            shifted[index] = window[:, ::-1] if mirrored[index] else window
        return shifted


def _splitmix64(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's step: add the golden gamma, then mix; arithmetic wraps at 64 bits."""
    state = state + _GAMMA
    state = (state ^ (state >> np.uint64(30))) * _MIX1
    state = (state ^ (state >> np.uint64(27))) * _MIX2
    return state ^ (state >> np.uint64(31))


def _as_uint64(word: int | NDArray[np.int64]) -> NDArray[np.uint64]:
    """A number or an array modulo 2^64; at least one-dimensional, since numpy warns when a scalar wraps."""
    if isinstance(word, int):
        word = word & 0xFFFF_FFFF_FFFF_FFFF
    return np.atleast_1d(np.asarray(word)).astype(np.uint64)


def _below(bits: NDArray[np.uint64], limit: int) -> NDArray[np.int64]:
    """Numbers 0..limit-1 from the low 31 bits, by multiply and shift."""
    low = bits & np.uint64((1 << _OFFSET_BITS) - 1)
    return ((low * np.uint64(limit)) >> np.uint64(_OFFSET_BITS)).astype(np.int64)
