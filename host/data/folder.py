"""A folder of pictures: ROOT/train/CLASS/*.jpg to learn from, ROOT/val/CLASS/*.jpg held out."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.data.dataset import Dataset
from host.data.pictures import center_crop, pillow
from host.data.source import reason
from host.errors import PeelVitError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
DEFAULT_SIZE = 224
DEFAULT_CROP = 0.9
SPLIT_FOLDERS = {"train": "train", "test": "val"}
SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


class ImageFolder(Dataset):
    """Pictures in class folders, decoded when read: RGB, shorter side resized, centre cut to a square (bicubic).

    Classes are the folder names in sorted order; pixels are normalised with ImageNet's figures, as pretrained
    weights expect. A wrong layout is refused here, an unreadable picture when it is read, both as `PeelVitError`.
    """

    def __init__(self, root: Path, split: str, image_size: int = DEFAULT_SIZE, crop: float = DEFAULT_CROP) -> None:
        classes = _classes_of_both_splits(root)
        folder = root / SPLIT_FOLDERS[split]
        files = [_pictures_of(folder / name) for name in classes]
        labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(paths) for paths in files])
        shape = (image_size, image_size, 3)
        super().__init__(root.name, classes, labels, shape, IMAGENET_MEAN, IMAGENET_STD)
        self._paths = [path for paths in files for path in paths]
        self._crop = crop
        self._pillow = pillow()

    def read(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """See `Dataset.read`; raises `PeelVitError` for a picture that cannot be read."""
        images = np.empty((len(indices), *self.image_shape), np.uint8)
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoders let go of Python's lock
            decoded = pool.map(self._decode, [self._paths[index] for index in indices])
            for target, picture in zip(images, decoded, strict=True):
                target[...] = picture
        return images

    def _decode(self, path: str) -> NDArray[np.uint8]:
        try:
            with self._pillow.open(path) as picture:
                return np.asarray(center_crop(picture.convert("RGB"), self.image_shape[0], self._crop))
        except Exception as error:  # damaged pictures make decoders raise nearly anything
            raise PeelVitError(f"{path} cannot be read as a picture ({reason(error)}); replace or remove it") from error


def _classes_of_both_splits(root: Path) -> list[str]:
    """Class names in sorted order, once train/ and val/ are known to hold the same class folders."""
    if not root.is_dir():
        raise PeelVitError(f"there is no folder {root}; name one with train/CLASS/ and val/CLASS/ inside")
    for name in SPLIT_FOLDERS.values():
        _require_split(root, name)
    train, held_out = (_class_folders(root / name) for name in SPLIT_FOLDERS.values())
    if train != held_out:
        only_train, only_val = (_some(names) for names in (set(train) - set(held_out), set(held_out) - set(train)))
        raise PeelVitError(
            f"{root}: train/ and val/ must hold the same class folders, but only train/ has {only_train} "
            f"and only val/ has {only_val}"
        )
    return train


def _require_split(root: Path, name: str) -> None:
    if (root / name).is_dir():
        return
    found = _some({entry.name + "/" for entry in root.iterdir() if entry.is_dir()})
    raise PeelVitError(
        f"{root} has no {name}/ folder (it holds {found}); lay the pictures out as train/CLASS/ for training "
        "and val/CLASS/ for held-out pictures"
    )


def _class_folders(folder: Path) -> list[str]:
    entries = list(folder.iterdir())
    loose = {entry.name for entry in entries if _is_picture(entry.name)}
    if loose:
        raise PeelVitError(
            f"{folder} holds pictures directly ({_some(loose)}), so their classes are unknown; "
            "move each into a folder named after its class"
        )
    classes = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise PeelVitError(f"{folder} is empty; put one folder of pictures per class into it")
    return classes


def _pictures_of(folder: Path) -> list[str]:
    """Paths of every picture below one class folder, in sorted order."""
    paths = sorted(
        os.path.join(parent, name)
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
        if _is_picture(name)
    )
    if not paths:
        raise PeelVitError(f"class folder {folder} holds no pictures; add some or remove the class from both splits")
    return paths


def _is_picture(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES


def _some(names: set[str], limit: int = 3) -> str:
    """The first few names, for a sentence."""
    shown = ", ".join(sorted(names)[:limit]) or "nothing"
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
