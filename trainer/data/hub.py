"""Hugging Face data sets, from the hub's local cache, from a folder of `save_to_disk`, or fetched when asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from host.data.source import reason
from host.errors import PeelVitError
from trainer.data.cuts import Cuts
from trainer.data.dataset import PictureDataset

PREFIX = "hfds/"
_SPLITS = {"train": ("train",), "test": ("validation", "val", "valid", "test")}
_LABELS = ("label", "fine_label", "labels")


class HubPictures(PictureDataset):
    """The encoded pictures of one split of a Hugging Face data set."""

    def __init__(self, name: str, table: Any, image: str, label: str, image_size: int, cuts: Cuts) -> None:
        labels = np.array(table[label][:], np.int64)
        super().__init__(name, tuple(table.features[label].names), labels, image_size, cuts)
        self._table = table
        self._image = image

    def bytes_of(self, index: int) -> bytes:
        """See `PictureDataset.bytes_of`."""
        picture = self._table[index][self._image]
        return picture["bytes"] or Path(picture["path"]).read_bytes()

    def where(self, index: int) -> str:
        """See `PictureDataset.where`."""
        return f"example {index} of {self.name}"


def open_hub(name: str, split: str, image_size: int, cuts: Cuts, cache_dir: Path | None, download: bool) -> HubPictures:
    """The split 'train' or 'test' (held out: validation where there is one) of the data set `name`.

    `name` is a folder written by `save_to_disk`, or the hub's. Without `download` only what the cache holds is used.
    """
    library = _library()
    splits = _loaded(library, name, cache_dir, download)
    chosen = next((word for word in _SPLITS[split] if word in splits), None)
    if chosen is None:
        raise PeelVitError(
            f"{name} has the splits {', '.join(splits)}, none of which is {' or '.join(_SPLITS[split])}; "
            "choose another data set"
        )
    table = splits[chosen]
    image = next((key for key, kind in table.features.items() if isinstance(kind, library.Image)), None)
    classes = [key for key, kind in table.features.items() if isinstance(kind, library.ClassLabel)]
    label = next((key for key in (*_LABELS, *classes) if key in classes), None)
    if image is None or label is None:
        raise PeelVitError(
            f"{name} has the columns {', '.join(table.features)}, but no picture with a class label; choose a data "
            "set for image classification"
        )
    return HubPictures(name, table.cast_column(image, library.Image(decode=False)), image, label, image_size, cuts)


def _loaded(library: ModuleType, name: str, cache_dir: Path | None, download: bool) -> Any:
    """All splits by name."""
    folder = Path(name).expanduser()
    try:
        if folder.is_dir():
            splits = library.load_from_disk(str(folder))
            return splits if hasattr(splits, "keys") else {"train": splits}
        with _network(library, download):
            return library.load_dataset(name, cache_dir=None if cache_dir is None else str(cache_dir))
    except Exception as error:  # the library raises many kinds: of its own, of its files, of the network
        if folder.is_dir():
            fault = f"{folder} is not a folder written by save_to_disk ({reason(error)}); write it so"
        elif download:
            fault = (
                f"{name} cannot be fetched from the Hugging Face hub ({reason(error)}); check its name and the network"
            )
        else:
            fault = f"{name} is not in the Hugging Face cache; ask for the download with --download"
        raise PeelVitError(fault) from error


@contextmanager
def _network(library: ModuleType, allowed: bool) -> Iterator[None]:
    """Keep the library off the network unless `allowed`."""
    before = library.config.HF_HUB_OFFLINE
    library.config.HF_HUB_OFFLINE = before or not allowed
    try:
        yield
    finally:
        library.config.HF_HUB_OFFLINE = before


def _library() -> ModuleType:
    """The library, imported only when it is used."""
    try:
        import datasets
    except ImportError as error:
        raise PeelVitError("Hugging Face data sets need the package datasets; run `pip install datasets`") from error
    return datasets
