"""Decoding and resizing pictures with Pillow, imported only when a picture is met."""

from __future__ import annotations

import io
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.data.dataset import Dataset
from host.errors import PeelVitError


def pillow() -> ModuleType:
    """Pillow's `Image` module; a sentence when it is not installed."""
    try:
        from PIL import Image
    except ImportError as error:
        raise PeelVitError("decoding and resizing images needs Pillow; run `pip install pillow`") from error
    return Image


def decode(data: bytes) -> NDArray[np.uint8]:
    """Decode an encoded picture into RGB uint8 [H, W, 3]; raises what Pillow raises."""
    with pillow().open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


def center_crop(picture: Any, size: int, crop: float) -> Any:
    """The central `crop` of a Pillow picture's shorter side, as `size` x `size` pixels (bicubic).

    The shorter side becomes `size / crop` pixels and the centre is cut out, as in the evaluation of DeiT (crop 0.9).
    """
    shorter = round(size / crop)
    scale = shorter / min(picture.size)
    width, height = (max(size, round(side * scale)) for side in picture.size)
    resized = picture.resize((width, height), pillow().Resampling.BICUBIC)
    left, top = (width - size) // 2, (height - size) // 2
    return resized.crop((left, top, left + size, top + size))


class ResizedDataset(Dataset):
    """Another data set with every image resized to `size` x `size` pixels (bicubic) when it is read."""

    def __init__(self, source: Dataset, size: int) -> None:
        shape = (size, size, source.image_shape[2])
        super().__init__(source.name, source.classes, source.labels, shape, source.mean, source.std)
        self._source = source
        self._pillow = pillow()

    def read(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """See `Dataset.read`."""
        resized = np.empty((len(indices), *self.image_shape), np.uint8)
        for target, image in zip(resized, self._source.read(indices), strict=True):
            # Pillow takes grey pictures without a channel axis.
            picture = self._pillow.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
            picture = picture.resize(self.image_shape[1::-1], self._pillow.Resampling.BICUBIC)
            target[...] = np.asarray(picture).reshape(self.image_shape)
        return resized
