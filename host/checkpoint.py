"""Checkpoints: named arrays and JSON in one checked file that is either the old one or the new one, never half of each.

The file is an ordinary .npz archive (`numpy.load` reads it) with one more member, `meta.json`, and without pickles.
The archive's comment, the last 64 bytes, is the SHA-256 of everything before it, so a change anywhere is noticed.
Names are sorted and no time is stored: equal content gives equal bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from host.errors import CheckpointError, PeelVitError, disk_full_sentence, is_disk_full

FORMAT = "peelvit-checkpoint"
VERSION = 1
CHECKPOINT_NAME = "checkpoint.npz"
PREVIOUS_SUFFIX = ".previous"

_META_MEMBER = "meta.json"
_DIGEST_BYTES = 2 * hashlib.sha256().digest_size  # as hexadecimal digits
_COPY_BYTES = 1 << 20


def save_checkpoint(path: Path | str, tensors: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
    """Write `tensors` (any numeric types and shapes) and `meta` (anything JSON can hold) to `path`.

    The checkpoint that was there stays as `<path>.previous`. Raises `CheckpointError` when it cannot be written, a full
    disk for instance; whatever was at `path` is then untouched.
    """
    path = Path(path)
    try:
        with replaced_file(path, keep_previous=True) as file:
            _write_archive(file, tensors, meta)
            _seal(file)
    except OSError as error:
        raise unwritten(path, error) from None


def unwritten(path: Path, error: OSError) -> CheckpointError:
    """What to raise when the checkpoint `path` could not be written."""
    if not is_disk_full(error):
        return CheckpointError(f"cannot write the checkpoint {path}: {error.strerror}; choose another --output")
    if is_saved(path):
        state, way_on = "the one before it is intact", "start again with --resume"
    else:
        state, way_on = "there is none before it", "start again"
    return CheckpointError(
        f"the disk is full, so the checkpoint {path} was not written and {state}; free some space and {way_on}"
    )


def is_saved(path: Path) -> bool:
    """Whether there is a checkpoint at `path`, or the one before it."""
    return path.is_file() or path.with_name(path.name + PREVIOUS_SUFFIX).is_file()


@contextlib.contextmanager
def full_disk_explained(path: Path) -> Iterator[None]:
    """Turn a full disk in the block, a run that saves to `path`, into a `PeelVitError` that says how to go on."""
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise PeelVitError(disk_full_sentence(error, resumable=is_saved(path))) from None


def load_checkpoint(path: Path | str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read `(tensors, meta)` back; `CheckpointError` when the file is missing, damaged or of another format."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            _verify(file, path)
            return _read_archive(file, path)
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint {path}; check the path") from None
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error.strerror}; check the path") from None


def latest_checkpoint(where: Path | str) -> Path:
    """The checkpoint that `--resume DIR|FILE` means: the file itself, or the newest one of a run's folder."""
    where = Path(where)
    if not where.is_dir():
        if where.exists():
            return where
        raise CheckpointError(f"there is no checkpoint {where}; give a checkpoint file or the folder of a run")
    for name in (CHECKPOINT_NAME, CHECKPOINT_NAME + PREVIOUS_SUFFIX):
        if (where / name).exists():
            return where / name
    raise CheckpointError(f"the folder {where} holds no {CHECKPOINT_NAME}; give the folder of a run that saved one")


@contextlib.contextmanager
def replaced_file(path: Path | str, *, keep_previous: bool = False) -> Iterator[IO[bytes]]:
    """A new file, open for reading and writing, that takes the place of `path` only when the block succeeds.

    It is written beside `path` and forced to the disk first. After a crash at any moment, `path` is the old file or the
    new one, whole. A failed block leaves nothing behind.
    """
    path = Path(path)
    # One fixed name: what a killed process leaves behind is overwritten by the next one.
    temporary = path.with_name(f".{path.name}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(temporary, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep_previous and path.is_file():
            _keep_previous(path)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _keep_previous(path: Path) -> None:
    """Give the file at `path` the name `<path>.previous` as well, so that `path` never stops existing."""
    previous = path.with_name(path.name + PREVIOUS_SUFFIX)
    link = path.with_name(f".{path.name}.link")
    link.unlink(missing_ok=True)
    try:
        os.link(path, link)
    except OSError:  # FAT on an SD card knows no hard links; `latest_checkpoint` finds the previous one if we die here
        os.replace(path, previous)
    else:
        os.replace(link, previous)


def _sync_folder(folder: Path) -> None:
    """Make the renames in `folder` survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_archive(file: IO[bytes], tensors: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        header = {"format": FORMAT, "version": VERSION, "meta": dict(meta)}
        archive.writestr(_member(_META_MEMBER), json.dumps(header, sort_keys=True, indent=1))
        for name in sorted(tensors):
            array = np.asarray(tensors[name], order="C")
            with archive.open(_member(f"{name}.npy"), "w", force_zip64=True) as member:
                np.save(member, array, allow_pickle=False)
        archive.comment = bytes(_DIGEST_BYTES)


def _member(name: str) -> zipfile.ZipInfo:
    """An archive member without time, owner or operating system."""
    member = zipfile.ZipInfo(name)
    member.create_system = 3
    member.external_attr = 0o644 << 16
    return member


def _seal(file: IO[bytes]) -> None:
    """Put the digest in the place that the archive's comment holds free for it."""
    digest = _digest(file)
    file.seek(-_DIGEST_BYTES, os.SEEK_END)
    file.write(digest)


def _digest(file: IO[bytes]) -> bytes:
    """SHA-256 of all but the last 64 bytes of `file`, as 64 hexadecimal digits."""
    remaining = file.seek(0, os.SEEK_END) - _DIGEST_BYTES
    file.seek(0)
    sha256 = hashlib.sha256()
    while remaining > 0 and (block := file.read(min(remaining, _COPY_BYTES))):
        sha256.update(block)
        remaining -= len(block)
    return sha256.hexdigest().encode()


def _verify(file: IO[bytes], path: Path) -> None:
    digest = _digest(file)
    file.seek(max(0, file.seek(0, os.SEEK_END) - _DIGEST_BYTES))
    if file.read() != digest:
        raise CheckpointError(
            f"{path} is damaged or is no PeelViT checkpoint (its checksum does not match); {_way_out(path)}"
        )


def _way_out(path: Path) -> str:
    previous = path.with_name(path.name + PREVIOUS_SUFFIX)
    return f"resume from {previous}" if previous.exists() else "resume from another checkpoint"


def _read_archive(file: IO[bytes], path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    with zipfile.ZipFile(file) as archive:
        header = json.loads(archive.read(_META_MEMBER))
        if header["format"] != FORMAT or header["version"] != VERSION:
            raise CheckpointError(
                f"the checkpoint {path} has format {header['format']} {header['version']}, this program reads {FORMAT} "
                f"{VERSION}; use the version that wrote it"
            )
        names = [name for name in archive.namelist() if name != _META_MEMBER]
        return {name.removesuffix(".npy"): _read_array(archive, name) for name in names}, header["meta"]


def _read_array(archive: zipfile.ZipFile, member: str) -> NDArray[Any]:
    array: NDArray[Any] = np.load(io.BytesIO(archive.read(member)), allow_pickle=False)
    return array
