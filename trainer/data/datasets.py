"""Data sets by name: built-in ones, folders, tar shards, the Hugging Face hub. Nothing is fetched unasked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from host.data.dataset import ArrayDataset, Dataset, Examples
from host.data.folder import DEFAULT_SIZE
from host.data.pictures import ResizedDataset
from host.data.registry import SOURCES, default_data_dir, load_dataset
from host.data.source import Report, tell
from host.errors import PeelVitError
from trainer.data import cifar100, hub, shards, synthetic
from trainer.data.cuts import Cuts
from trainer.data.dataset import FixedDataset, TrainingDataset
from trainer.data.folder import open_folder
from trainer.data.imagenet import open_imagenet_real, open_imagenet_v2

_FOLDER = "folder:"
_ONLY_TO_EVALUATE: dict[str, Callable[[Path, int, Cuts], TrainingDataset]] = {
    "imagenet_v2:": open_imagenet_v2,
    "imagenet_real:": open_imagenet_real,
}
_SPLITS = {"train": "train", "test": "test", "val": "test", "validation": "test"}


def open_dataset(
    name_or_path: str,
    split: str,
    image_size: int | None = None,
    *,
    data_dir: Path | None = None,
    cuts: Cuts | None = None,
    download: bool = False,
    report: Report = tell,
) -> TrainingDataset:
    """One split, 'train' or held out ('test', also spelled 'val' or 'validation'), of the data set that a name means.

    cifar10, cifar100, fashion_mnist, digits: built in, cached in `data_dir` (default: PEELVIT_DATA).
    folder:PATH or PATH: train/CLASS/ and val/CLASS/ with pictures. wds/PATH: a folder of WebDataset's tar shards.
    hfds/NAME: a Hugging Face data set, or a folder written by its `save_to_disk`. synthetic: noise, for throughput.
    imagenet_v2:PATH, imagenet_real:PATH: held out only.

    `image_size` is the side in pixels; by default built-ins keep theirs and pictures get 224. `cuts` says how pictures
    are cut. Only with `download` is anything fetched. Raises `PeelVitError` with one sentence for what the user can
    put right.
    """
    if split not in _SPLITS:
        raise PeelVitError(f"there is no split {split!r}; use train or val")
    if image_size is not None and image_size < 1:
        raise PeelVitError(f"an image size of {image_size} is not possible; use 1 pixel or more")
    part, cuts, directory = _SPLITS[split], cuts or Cuts(), data_dir or default_data_dir()
    size = image_size or DEFAULT_SIZE
    if name_or_path in SOURCES:
        host = load_dataset(
            name_or_path, part, data_dir=directory, image_size=image_size, fetch=download, report=report
        )
        return FixedDataset(host)
    if name_or_path == cifar100.NAME:
        return FixedDataset(_cifar100(part, image_size, directory, download))
    if name_or_path.partition(":")[0] == synthetic.NAME:
        return synthetic.open_synthetic(name_or_path.partition(":")[2], part, size)
    for prefix, opened in _ONLY_TO_EVALUATE.items():
        if name_or_path.startswith(prefix):
            return _held_out_only(prefix, part, opened, _path(name_or_path, prefix), size, cuts)
    if name_or_path.lower().startswith(shards.PREFIX):
        root = _path(name_or_path, name_or_path[: len(shards.PREFIX)])
        return shards.open_shards(root, part, size, cuts, directory / "index", report)
    if name_or_path.lower().startswith(hub.PREFIX):
        return hub.open_hub(name_or_path[len(hub.PREFIX) :], part, size, cuts, None, download)
    root = _path(name_or_path, _FOLDER)
    if not root.exists():
        raise PeelVitError(
            f"{name_or_path} is neither a folder nor a known data set; use {', '.join((*SOURCES, cifar100.NAME))}, "
            "folder:PATH, wds/PATH or hfds/NAME"
        )
    return open_folder(root, part, size, cuts)


def _path(name: str, prefix: str) -> Path:
    return Path(name.removeprefix(prefix)).expanduser()


def _held_out_only(
    prefix: str, split: str, opened: Callable[[Path, int, Cuts], TrainingDataset], root: Path, size: int, cuts: Cuts
) -> TrainingDataset:
    if split == "train":
        raise PeelVitError(f"{prefix}{root} is for evaluation only; train on ImageNet's own training pictures")
    return opened(root, size, cuts)


def _cifar100(split: str, image_size: int | None, data_dir: Path, download: bool) -> Dataset:
    """From the original files, or, when a download was asked for, from the hub."""
    if cifar100.is_here(data_dir) or not download:
        return cifar100.open_cifar100(data_dir, split, image_size)
    whole = Cuts(crop_pct=1.0)
    pictures = hub.open_hub(cifar100.HUB_NAME, split, cifar100.SIDE, whole, None, download)
    images = pictures.read(np.arange(len(pictures)))
    examples = Examples(images, pictures.labels)
    dataset = ArrayDataset(cifar100.NAME, pictures.classes, examples, cifar100.MEAN, cifar100.STD)
    return dataset if image_size in (None, cifar100.SIDE) else ResizedDataset(dataset, image_size)
