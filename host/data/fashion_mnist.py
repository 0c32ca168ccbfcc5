"""Fashion-MNIST: 60,000 and 10,000 grey pictures of 28x28 pixels, from its original files or from Debian."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.data.dataset import Examples
from host.data.packages import apt_download
from host.data.source import Report, Source, Splits, reading

DEBIAN_PACKAGE = "dataset-fashion-mnist"
SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
_PREFIXES = {"train": "train", "test": "t10k"}
# The data folder itself comes last: MNIST's files bear the same names.
_FOLDERS = ("fashion-mnist", "fashion_mnist", "FashionMNIST/raw", ".")
_UINT8_CODE = 8


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The uint8 array in a gzipped IDX file: two zero bytes, type, rank, big-endian sizes, data.

    A sentence when it is damaged.
    """
    with reading(path):
        data = gzip.decompress(path.read_bytes())
        zero, code, rank = struct.unpack_from(">HBB", data)
        if zero != 0 or code != _UINT8_CODE:
            raise ValueError("no IDX file of bytes")
        shape = struct.unpack_from(f">{rank}I", data, 4)
        pixels = np.frombuffer(data, np.uint8, offset=4 + 4 * rank)
        if len(pixels) != math.prod(shape):
            raise ValueError(f"{len(pixels)} bytes for the shape {shape}")
        return pixels.reshape(shape)


def read_folder(folder: Path, report: Report) -> Splits:
    """Both splits from the four IDX files in a folder; a sentence when one is damaged."""
    report(f"reading {folder}")
    return {split: _read_split(folder, prefix) for split, prefix in _PREFIXES.items()}


def _read_split(folder: Path, prefix: str) -> Examples:
    images_file, labels_file = (folder / name for name in _file_names(prefix))
    images, labels = read_idx(images_file), read_idx(labels_file)
    with reading(images_file):
        if images.ndim != 3 or labels.shape != images.shape[:1] or (len(labels) and labels.max() > 9):
            raise ValueError(f"images {images.shape} with labels {labels.shape}")
    return Examples(images[..., None], labels.astype(np.int64))


def _file_names(prefix: str) -> tuple[str, str]:
    return f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz"


def _is_complete(folder: Path) -> bool:
    return all((folder / name).exists() for prefix in _PREFIXES.values() for name in _file_names(prefix))


def _local(data_dir: Path, report: Report) -> Splits | None:
    candidates = [*(data_dir / name for name in _FOLDERS), SYSTEM_FOLDER]
    folder = next(filter(_is_complete, candidates), None)
    return None if folder is None else read_folder(folder, report)


def _fetch(work: Path, report: Report) -> Splits:
    report(f"fetching Debian's package {DEBIAN_PACKAGE} with apt-get, 31 MB")
    root = apt_download(DEBIAN_PACKAGE, work, report)
    return read_folder(root / SYSTEM_FOLDER.relative_to("/"), report)


FASHION_MNIST = Source(
    name="fashion_mnist",
    classes=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    mean=(0.2860,),
    std=(0.3530,),
    local=_local,
    fetch=_fetch,
    by_hand="a folder fashion-mnist with the four *-ubyte.gz files",
)  # fmt: skip
