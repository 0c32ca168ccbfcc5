"""Some of the examples of a data set, chosen once and for all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import Pixels, TrainingDataset
from trainer.data.randomness import random_state


class Subset(TrainingDataset):
    """The examples `indices` of another data set, named by their place in it."""

    def __init__(self, whole: TrainingDataset, indices: NDArray[np.int64]) -> None:
        super().__init__(whole.name, whole.classes, whole.labels[indices], whole.image_size, whole.mean, whole.std)
        self.fixed = whole.fixed
        self._whole, self._indices = whole, indices

    def read(self, indices: NDArray[np.int64]) -> Pixels:
        """See `TrainingDataset.read`."""
        return self._whole.read(self._indices[indices])

    def read_random(self, index: int, random: np.random.RandomState) -> Pixels:
        """See `TrainingDataset.read_random`."""
        return self._whole.read_random(int(self._indices[index]), random)


def limited(dataset: TrainingDataset, images: int | None) -> TrainingDataset:
    """`dataset`, or `images` of its examples: the same ones as `train_edge.py` takes of a data set of this size."""
    count = len(dataset)
    if images is None or images >= count:
        return dataset
    return Subset(dataset, np.sort(random_state(count).permutation(count)[:images]).astype(np.int64))
