"""Made-up images, for measuring throughput without a data set: no class can be learned from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from host.data.folder import IMAGENET_MEAN, IMAGENET_STD
from host.errors import PeelVitError
from trainer.data.dataset import Pixels, TrainingDataset
from trainer.data.randomness import random_state

NAME = "synthetic"
_SHIFT = 17


class Synthetic(TrainingDataset):
    """`examples` images of noise: windows into one strip of it, so that reading costs a copy and memory one strip."""

    fixed = True

    def __init__(self, split: str, image_size: int, classes: int = 1000, examples: int = 1024) -> None:
        if min(classes, examples, image_size) < 1:
            raise PeelVitError(f"{NAME} needs 1 or more classes, examples and pixels")
        names = tuple(str(number) for number in range(classes))
        random = random_state(0 if split == "train" else 1)
        labels = random.randint(0, classes, examples).astype(np.int64)
        super().__init__(NAME, names, labels, image_size, IMAGENET_MEAN, IMAGENET_STD)
        self._length = image_size * image_size * self.channels
        self._strip = random.randint(0, 256, self._length + _SHIFT * examples).astype(np.uint8)

    def read(self, indices: NDArray[np.int64]) -> Pixels:
        """See `TrainingDataset.read`."""
        windows = [self._strip[_SHIFT * index : _SHIFT * index + self._length] for index in indices]
        return np.stack(windows).reshape(-1, self.image_size, self.image_size, self.channels)


def open_synthetic(words: str, split: str, image_size: int) -> Synthetic:
    """`synthetic`, or `synthetic:classes=10,examples=512` with other numbers."""
    try:
        pairs = [word.split("=") for word in words.split(",") if word]
        numbers = {name: int(value) for name, value in pairs}
        return Synthetic(split, image_size, **numbers)
    except (TypeError, ValueError) as error:
        raise PeelVitError(
            f"{NAME}:{words} is not understood; write for example {NAME}:classes=10,examples=512"
        ) from error
