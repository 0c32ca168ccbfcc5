"""Decoded splits as npz files, each with its SHA-256 beside it in the format of `sha256sum`."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from host.data.dataset import Examples
from host.data.source import reading
from host.errors import PeelVitError

_CHUNK = 1 << 20


def cached_file(data_dir: Path, name: str, split: str) -> Path:
    """Where the split is cached; its checksum stands in the same path with `.sha256` added."""
    return data_dir / f"{name}-{split}.npz"


def is_cached(data_dir: Path, name: str, split: str) -> bool:
    """Whether the split was cached completely: the checksum is written last."""
    path = cached_file(data_dir, name, split)
    return path.exists() and _checksum_file(path).exists()


def save(data_dir: Path, name: str, split: str, examples: Examples) -> Path:
    """Cache one split atomically: an interrupted write leaves no file that `is_cached` accepts. Returns its path."""
    path = cached_file(data_dir, name, split)
    _checksum_file(path).unlink(missing_ok=True)
    _write_atomically(path, lambda file: np.savez(file, images=examples.images, labels=examples.labels))
    line = f"{sha256(path)}  {path.name}\n".encode()
    _write_atomically(_checksum_file(path), lambda file: file.write(line))
    return path


def load(data_dir: Path, name: str, split: str) -> Examples:
    """Read one cached split; a sentence when its checksum or its content is wrong."""
    path = cached_file(data_dir, name, split)
    cure = f"delete {path} and run again: it is built anew"
    with reading(path, cure):
        words = _checksum_file(path).read_text().split()
        if words[:1] != [sha256(path)]:
            raise PeelVitError(f"{path} does not match its checksum, so it was changed or damaged; {cure}")
        with np.load(path, allow_pickle=False) as arrays:
            return Examples(arrays["images"], arrays["labels"])


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _checksum_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write to a neighbouring temporary file, then rename: readers see the old file or the whole new one."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp made it private; a data folder is often shared
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
