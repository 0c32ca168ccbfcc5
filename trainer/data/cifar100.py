"""CIFAR-100 from its original Python archive: 50,000 and 10,000 colour pictures of 32x32 pixels, 100 classes."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np

from host.data.dataset import ArrayDataset, Dataset, Examples
from host.data.pictures import ResizedDataset
from host.data.safe_pickle import load_arrays
from host.data.source import reading
from host.errors import PeelVitError

NAME = "cifar100"
FOLDER = "cifar-100-python"
ARCHIVE = f"{FOLDER}.tar.gz"
HUB_NAME = "uoft-cs/cifar100"
# Of the training pixels scaled to 0..1, as timm's and torchvision's users know them.
MEAN, STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
SIDE = 32


def is_here(data_dir: Path) -> bool:
    """Whether the original files lie in `data_dir`, unpacked or not."""
    return (data_dir / FOLDER).is_dir() or (data_dir / ARCHIVE).is_file()


def open_cifar100(data_dir: Path, split: str, image_size: int | None) -> Dataset:
    """The split 'train' or 'test' from `data_dir`/cifar-100-python/ or its archive, as a data set of the host.

    The pickles are read by the host's reader, which can build nothing but plain data and arrays.
    """
    if not is_here(data_dir):
        raise PeelVitError(
            f"{NAME} is not in {data_dir}; put {ARCHIVE} or the folder {FOLDER} there, or ask for the download from "
            f"the Hugging Face hub with --download"
        )
    path = data_dir / FOLDER if (data_dir / FOLDER).is_dir() else data_dir / ARCHIVE
    with reading(path, "replace it by the original"):
        content, meta = (load_arrays(_file(path, name)) for name in (split, "meta"))
        planes = np.asarray(content[b"data"], np.uint8).reshape(-1, 3, SIDE, SIDE)
        labels = np.array(content[b"fine_labels"], np.int64)
        classes = tuple(name.decode() for name in meta[b"fine_label_names"])
        images = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        dataset = ArrayDataset(NAME, classes, Examples(images, labels), MEAN, STD)
    return dataset if image_size in (None, SIDE) else ResizedDataset(dataset, image_size)


def _file(path: Path, name: str) -> bytes:
    if path.is_dir():
        return (path / name).read_bytes()
    with tarfile.open(path, "r:gz") as archive:
        member = archive.extractfile(f"{FOLDER}/{name}")
        if member is None:
            raise PeelVitError(f"{path} holds no file {FOLDER}/{name}; replace it by the original")
        return member.read()
