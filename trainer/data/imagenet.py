"""ImageNet's two later evaluations: V2, a new test set, and ReaL, better labels for the old one."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np

from host.data.folder import SUFFIXES
from host.errors import PeelVitError
from trainer.data.cuts import Cuts
from trainer.data.folder import FilePictures

CLASSES = 1000
_NAMES = tuple(str(number) for number in range(CLASSES))
_VALIDATION_NUMBER = re.compile(r"ILSVRC2012_val_(\d{8})")


def open_imagenet_v2(root: Path, image_size: int, cuts: Cuts) -> FilePictures:
    """ImageNet-V2 (Recht et al., 2019) as released: class folders numbered 0 to 999, in the usual order of classes.

    Their names are numbers and sort as such: read as an ordinary folder of pictures, 10 would come before 2.
    """
    folders = [entry for entry in _entries(root) if entry.is_dir() and entry.name.isdecimal()]
    unknown = [folder.name for folder in folders if int(folder.name) >= CLASSES]
    if not folders or unknown:
        found = f"a folder {unknown[0]}" if unknown else "none"
        raise PeelVitError(
            f"{root} should hold ImageNet-V2's class folders 0 to {CLASSES - 1} but has {found}; name the folder that "
            "was unpacked, such as imagenetv2-matched-frequency-format-val"
        )
    folders.sort(key=lambda folder: int(folder.name))
    found_paths = [(path, int(folder.name)) for folder in folders for path in _pictures(folder)]
    labels = np.array([label for _, label in found_paths], np.int64)
    return FilePictures("imagenet_v2", _NAMES, [path for path, _ in found_paths], labels, image_size, cuts)


def open_imagenet_real(root: Path, image_size: int, cuts: Cuts) -> FilePictures:
    """ImageNet's validation pictures below `root` with the labels of `root`/real.json (Beyer et al., 2020).

    real.json lists the right labels of validation picture 1, 2, ...; pictures without one are left out. `labels` is
    int64 [n, L] with -1 in unused places: a prediction is right when it is any of them (`evaluation.hits`).
    """
    chosen: list[tuple[str, list[int]]] = []
    listed = _real_labels(root / "real.json")
    for path in _pictures(root):
        match = _VALIDATION_NUMBER.search(os.path.basename(path))
        number = int(match[1]) if match else 0
        if 0 < number <= len(listed) and listed[number - 1]:
            chosen.append((path, listed[number - 1]))
    if not chosen:
        raise PeelVitError(
            f"{root} holds no pictures named ILSVRC2012_val_00000001.JPEG and so on that real.json has labels for; put "
            "ImageNet's validation pictures beside it"
        )
    labels = np.full((len(chosen), max(len(right) for _, right in chosen)), -1, np.int64)
    for row, (_, right) in zip(labels, chosen, strict=True):
        row[: len(right)] = right
    return FilePictures("imagenet_real", _NAMES, [path for path, _ in chosen], labels, image_size, cuts)


def _real_labels(path: Path) -> list[list[int]]:
    try:
        content = json.loads(path.read_text())
        return [[int(label) for label in labels] for labels in content]
    except FileNotFoundError as error:
        raise PeelVitError(f"there is no {path}; put real.json of ImageNet-ReaL beside the pictures") from error
    except (OSError, TypeError, ValueError) as error:
        raise PeelVitError(f"{path} is not a list of label lists; fetch real.json of ImageNet-ReaL again") from error


def _entries(root: Path) -> list[Path]:
    if not root.is_dir():
        raise PeelVitError(f"there is no folder {root}; name the one that holds the pictures")
    return list(root.iterdir())


def _pictures(folder: Path) -> list[str]:
    """Paths of every picture below `folder`, sorted."""
    return sorted(
        os.path.join(parent, name)
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
        if os.path.splitext(name)[1].lower() in SUFFIXES
    )
