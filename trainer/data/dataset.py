"""What a data set is to the trainer: labels in memory, pixels on request."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.data import dataset as host_dataset
from host.data.folder import IMAGENET_MEAN, IMAGENET_STD
from host.data.source import reason
from host.errors import PeelVitError
from trainer.data.cuts import Cuts

Pixels = NDArray[np.uint8]


class TrainingDataset(ABC):
    """One split of a data set: `len()` examples, read by index in any order and from any process.

    name; classes: their names; labels: int64 [n], or [n, L] where an example has up to L right labels, unused places
    -1; image_size: side in pixels of what is read; channels; mean, std: per channel, on pixels scaled to 0..1.
    `fixed` says that an example's pixels are always the same: its crop is not random, so it can wait on the device.
    """

    fixed: bool

    def __init__(
        self,
        name: str,
        classes: Sequence[str],
        labels: NDArray[np.int64],
        image_size: int,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        if labels.size and labels.max() >= len(classes):
            raise PeelVitError(f"{name} has the label {labels.max()}, but only {len(classes)} classes")
        self.name = name
        self.classes = tuple(classes)
        self.labels = labels
        self.image_size = image_size
        self.channels = len(mean)
        self.mean = tuple(mean)
        self.std = tuple(std)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def mirrors(self) -> bool:
        """Whether a mirrored image still shows its class: not so for digits."""
        return self.name != "digits"

    @abstractmethod
    def read(self, indices: NDArray[np.int64]) -> Pixels:
        """Pixels uint8 [len(indices), S, S, C] as they are evaluated; the same every time."""

    def read_random(self, index: int, random: np.random.RandomState) -> Pixels:
        """Pixels uint8 [S, S, C] of one example as it is trained on, cut by `random` unless the set is `fixed`."""
        return self.read(np.array([index]))[0]


class FixedDataset(TrainingDataset):
    """A built-in data set of the host: small images of one size, the very pixels that the board trains on."""

    fixed = True

    def __init__(self, source: host_dataset.Dataset) -> None:
        super().__init__(source.name, source.classes, source.labels, source.image_shape[0], source.mean, source.std)
        self._source = source

    def read(self, indices: NDArray[np.int64]) -> Pixels:
        """See `TrainingDataset.read`."""
        return self._source.read(indices)


class PictureDataset(TrainingDataset):
    """Pictures of any size, decoded when read: RGB, normalised with ImageNet's figures as pretrained weights expect.

    `bytes_of(index)` gives the encoded picture and `where(index)` the words by which an error names it.
    """

    fixed = False

    def __init__(
        self, name: str, classes: Sequence[str], labels: NDArray[np.int64], image_size: int, cuts: Cuts
    ) -> None:
        super().__init__(name, classes, labels, image_size, IMAGENET_MEAN, IMAGENET_STD)
        self.cuts = cuts

    @abstractmethod
    def bytes_of(self, index: int) -> bytes:
        """The encoded picture."""

    @abstractmethod
    def where(self, index: int) -> str:
        """The file that holds the picture, for a sentence."""

    def read(self, indices: NDArray[np.int64]) -> Pixels:
        """See `TrainingDataset.read`: the centre of each picture."""
        images = np.empty((len(indices), self.image_size, self.image_size, self.channels), np.uint8)
        for target, index in zip(images, indices, strict=True):
            target[...] = self.cuts.centre(self._picture(int(index)), self.image_size)
        return images

    def read_random(self, index: int, random: np.random.RandomState) -> Pixels:
        """See `TrainingDataset.read_random`: a randomly resized crop."""
        return self.cuts.random(self._picture(index), self.image_size, random)

    def _picture(self, index: int) -> Any:
        from host.data.pictures import pillow

        image = pillow()
        try:
            with image.open(io.BytesIO(self.bytes_of(index))) as picture:
                return picture.convert("RGB")
        except image.UnidentifiedImageError:
            raise PeelVitError(f"{self.where(index)} is not a picture of a known format; remove it") from None
        except Exception as error:  # damaged pictures make decoders raise nearly anything
            raise PeelVitError(
                f"{self.where(index)} cannot be read as a picture ({reason(error)}); replace or remove it"
            ) from error
