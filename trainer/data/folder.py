"""A folder of pictures: ROOT/train/CLASS/*.jpg to learn from, ROOT/val/CLASS/*.jpg held out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.data.folder import ImageFolder
from host.errors import PeelVitError
from trainer.data.cuts import Cuts
from trainer.data.dataset import PictureDataset


class _Layout(ImageFolder):
    """The host's reader of the same layout, asked for what it found; it explains whatever is wrong with it."""

    @property
    def paths(self) -> list[str]:
        """Path of every picture, in the order of `labels`."""
        return self._paths


class FilePictures(PictureDataset):
    """Pictures in files of their own. Paths are kept as one array, which processes share without copying."""

    def __init__(
        self,
        name: str,
        classes: tuple[str, ...],
        paths: list[str],
        labels: NDArray[np.int64],
        image_size: int,
        cuts: Cuts,
    ) -> None:
        super().__init__(name, classes, labels, image_size, cuts)
        self._paths = np.array([os.fsencode(path) for path in paths])

    def bytes_of(self, index: int) -> bytes:
        """See `PictureDataset.bytes_of`."""
        return Path(self.where(index)).read_bytes()

    def where(self, index: int) -> str:
        """See `PictureDataset.where`."""
        return os.fsdecode(self._paths[index])


def open_folder(root: Path, split: str, image_size: int, cuts: Cuts) -> FilePictures:
    """The split 'train' (ROOT/train) or 'test' (ROOT/val); one sentence says what is wrong with a layout."""
    if root.is_file():
        raise PeelVitError(
            f"{root} is a file, not a folder; name the folder that holds train/CLASS/ and val/CLASS/"
            + (", or write wds/FOLDER for the folder of tar shards" if root.suffix == ".tar" else "")
        )
    layout = _Layout(root, split, image_size)
    return FilePictures(root.name, layout.classes, layout.paths, layout.labels, image_size, cuts)
