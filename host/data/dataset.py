"""What a data set is to the rest of the host: labels in memory, pixels on request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Examples(NamedTuple):
    """One split in memory: `images` uint8 [n, H, W, C], `labels` int64 [n]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


class Dataset(ABC):
    """One split of a data set.

    `labels` int64 [n] index `classes`; `image_shape` is (H, W, C); `mean` and `std` are per channel, on pixels scaled
    to 0..1. Reading is deterministic: the same index always gives the same pixels.
    """

    def __init__(
        self,
        name: str,
        classes: Sequence[str],
        labels: NDArray[np.int64],
        image_shape: tuple[int, int, int],
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        channels = image_shape[2]
        if len(mean) != channels or len(std) != channels:
            raise ValueError(f"{name}: {len(mean)} means and {len(std)} deviations for {channels} channels")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
            raise ValueError(f"{name}: labels {labels.min()}..{labels.max()} for {len(classes)} classes")
        self.name = name
        self.classes = tuple(classes)
        self.labels = labels
        self.image_shape = image_shape
        self.mean = tuple(mean)
        self.std = tuple(std)

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def read(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Pixels uint8 [len(indices), H, W, C] of the examples `indices`, in that order."""


class ArrayDataset(Dataset):
    """A data set whose pixels lie in memory."""

    def __init__(
        self, name: str, classes: Sequence[str], examples: Examples, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        images, labels = examples
        if images.dtype != np.uint8 or images.ndim != 4 or len(images) != len(labels):
            raise ValueError(f"{name}: images {images.dtype} {images.shape} for {len(labels)} labels")
        height, width, channels = images.shape[1:]
        super().__init__(name, classes, labels.astype(np.int64, copy=False), (height, width, channels), mean, std)
        self._images = images

    def read(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """See `Dataset.read`."""
        return self._images[indices]
