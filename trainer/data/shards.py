"""WebDataset shards: tar files in which a picture and its label stand side by side under one key.

The shards are indexed once: where each picture's bytes lie, and its label. Reading is then by any index, so that
selecting examples, shuffling and resuming work exactly as with separate files, without unpacking anything. (The
library's own streams shuffle only nearly, and cannot leave chosen examples out without reading them.)
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from host.data.source import Report, reading
from host.errors import PeelVitError
from trainer.data.cuts import Cuts
from trainer.data.dataset import PictureDataset

PREFIX = "wds/"
_PICTURES = frozenset({"jpg", "jpeg", "png", "webp", "bmp", "ppm"})
_HELD_OUT = ("validation", "valid", "val", "test")


@dataclass(frozen=True)
class ShardIndex:
    """Where each sample of some shards is: the shard's number, offset and size of its picture in bytes, its label."""

    shards: NDArray[np.int64]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    labels: NDArray[np.int64]


class ShardPictures(PictureDataset):
    """Pictures within tar shards, in the order of the shards' names and of the samples in them."""

    def __init__(self, name: str, paths: list[Path], index: ShardIndex, classes: int, size: int, cuts: Cuts) -> None:
        super().__init__(name, tuple(str(number) for number in range(classes)), index.labels, size, cuts)
        self._paths = paths
        self._index = index

    def bytes_of(self, index: int) -> bytes:
        """See `PictureDataset.bytes_of`."""
        with self._paths[self._index.shards[index]].open("rb") as shard:
            shard.seek(self._index.offsets[index])
            return shard.read(self._index.sizes[index])

    def where(self, index: int) -> str:
        """See `PictureDataset.where`."""
        return f"the picture at byte {self._index.offsets[index]} of {self._paths[self._index.shards[index]]}"


def open_shards(root: Path, split: str, image_size: int, cuts: Cuts, index_dir: Path, report: Report) -> ShardPictures:
    """The split 'train' or 'test' of the shards in `root`, told apart by 'train' or 'val' in a folder's or file's name.

    Indices are kept in `index_dir` and made anew when a shard changes. Classes are numbered, up to the largest label
    of any split.
    """
    paths = _shards_by_split(root)
    if not paths[split]:
        word = "train" if split == "train" else "val"
        raise PeelVitError(
            f"{root} holds no tar shards for {word}; name them like imagenet-{word}-000000.tar or put them into a "
            f"folder {word}/"
        )
    indices = {part: _index(shards, index_dir, report) for part, shards in paths.items() if shards}
    classes = 1 + max(int(index.labels.max()) for index in indices.values())
    return ShardPictures(root.name, paths[split], indices[split], classes, image_size, cuts)


def _shards_by_split(root: Path) -> dict[str, list[Path]]:
    if not root.is_dir():
        raise PeelVitError(f"there is no folder {root}; name the folder that holds the tar shards")
    splits: dict[str, list[Path]] = {"train": [], "test": []}
    for path in sorted(root.rglob("*.tar")):
        words = str(path.relative_to(root)).lower()
        if "train" in words:
            splits["train"].append(path)
        elif any(word in words for word in _HELD_OUT):
            splits["test"].append(path)
    return splits


def _index(paths: list[Path], index_dir: Path, report: Report) -> ShardIndex:
    """The kept index of these very files, or a new one."""
    states = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    kept = index_dir / f"shards-{hashlib.sha256(json.dumps(states).encode()).hexdigest()[:16]}.npz"
    if kept.exists():
        with reading(kept, "delete it and run again: it is made anew"), np.load(kept, allow_pickle=False) as arrays:
            return ShardIndex(**{name: arrays[name] for name in arrays.files})
    report(f"indexing {len(paths)} shards of {paths[0].parent}")
    rows = np.array([(number, *row) for number, path in enumerate(paths) for row in _samples(path)], np.int64)
    index = ShardIndex(*np.ascontiguousarray(rows.T))
    _keep(index, kept, report)
    return index


def _keep(index: ShardIndex, path: Path, report: Report) -> None:
    """Write the index for later runs; several processes may do so at once, and none needs to succeed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".index-") as work:
            np.savez(Path(work) / path.name, **vars(index))
            os.replace(Path(work) / path.name, path)
    except OSError as error:
        report(f"cannot keep the index in {path.parent} ({error.strerror}), so the next run makes it again")


def _samples(path: Path) -> list[tuple[int, int, int]]:
    """Offset, size and label of each sample of one shard; files with one key follow each other."""
    split_name = _webdataset().tariterators.base_plus_ext
    pictures: dict[str, tuple[int, int]] = {}
    labels: dict[str, int] = {}
    with reading(path, "replace the shard"), tarfile.open(path, "r:") as archive:
        for member in archive:
            key, extension = split_name(member.name)
            if key is None or not member.isfile():
                continue
            if extension.lower() in _PICTURES:
                pictures[key] = member.offset_data, member.size
            elif extension in ("cls", "json"):
                labels.setdefault(key, _label(archive, member, extension))
    if not pictures or pictures.keys() != labels.keys():
        odd = next(iter(pictures.keys() ^ labels.keys()), None)
        fault = f"sample {odd} lacks its picture or its label" if odd else "it holds no samples"
        raise PeelVitError(
            f"{path} is not usable as a shard: {fault}; each sample needs KEY.jpg (or .png, .webp) and KEY.cls, or "
            "KEY.json with a label"
        )
    return [(*place, labels[key]) for key, place in pictures.items()]


def _label(archive: tarfile.TarFile, member: tarfile.TarInfo, extension: str) -> int:
    file = archive.extractfile(member)
    text = file.read() if file else b""
    return int(text if extension == "cls" else json.loads(text)["label"])


def _webdataset() -> ModuleType:
    """The library, imported only when shards are used."""
    try:
        import webdataset
        import webdataset.tariterators
    except ImportError as error:
        raise PeelVitError("reading tar shards needs WebDataset; run `pip install webdataset==1.0.2`") from error
    return webdataset
