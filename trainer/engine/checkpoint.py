"""Checkpoints of a run: tensors and plain values in one file that is either the old one or the new one.

The file is what `torch.save` writes, a ZIP archive whose members carry checksums, and is read without running any code
in it (`weights_only`).
"""

from __future__ import annotations

import io
import os
import pickle
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from host.checkpoint import PREVIOUS_SUFFIX, replaced_file, unwritten
from host.errors import CheckpointError

NAME = "checkpoint.pt"
_EPOCH_NAME = "checkpoint-{}.pt"
FORMAT, VERSION = "peelvit-trainer", 1


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` (tensors, numbers, strings, lists and dictionaries of them) to `path`, all or nothing.

    The file that was there stays as `<path>.previous`. Raises `CheckpointError` when it cannot be written.
    """
    packed = io.BytesIO()  # whole before it is written: torch hides what the disk says of a failed write
    torch.save({"format": FORMAT, "version": VERSION, **content}, packed)
    try:
        with replaced_file(path, keep_previous=True) as file:
            file.write(packed.getbuffer())
    except OSError as error:
        raise unwritten(path, error) from None


def load(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU; `CheckpointError` when it is damaged or not ours."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip() is not None
        content = None if damaged else torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint {path}; check the path") from None
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error.strerror}; check the path") from None
    except (zipfile.BadZipFile, EOFError, RuntimeError, pickle.UnpicklingError):
        content = None
    if content is None:
        raise CheckpointError(f"{path} is cut off, damaged or no checkpoint of this program; {_way_out(path)}")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} holds no run of this program; give its weights with --initial-checkpoint")
    if content["version"] != VERSION:
        raise CheckpointError(
            f"{path} has version {content['version']}, this program reads {VERSION}; use the version that wrote it"
        )
    return content


def find(where: Path) -> Path:
    """The checkpoint that `--resume` means: the file itself, or the newest one in a run's folder."""
    if not where.is_dir():
        return where
    for name in (NAME, NAME + PREVIOUS_SUFFIX):
        if (where / name).is_file():
            return where / name
    raise CheckpointError(f"the folder {where} holds no {NAME}; give the folder of a run that saved one")


def of_epoch(folder: Path, epoch: int) -> Path:
    """Where the checkpoint after `epoch` is kept, if it is."""
    return folder / _EPOCH_NAME.format(epoch)


def keep_copy(source: Path, copy: Path) -> None:
    """Give the file `source`, which is never changed in place, a second name; a copy where links are unknown."""
    temporary = copy.with_name(f".{copy.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    os.replace(temporary, copy)


def _way_out(path: Path) -> str:
    previous = path.with_name(path.name + PREVIOUS_SUFFIX)
    return f"resume from {previous}" if previous.exists() else "resume from another one"
