"""Digits: 1,797 grey pictures of 8x8 pixels that come inside scikit-learn; small enough for a first try."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np

from host.data.dataset import Examples
from host.data.source import Report, Source, Splits, reading
from host.errors import PeelVitError

HELD_OUT = 360
"""The last 360 examples are the test split: whole writers, most of whom the training split has not seen."""
# The package serves as a carrier of data, like those of npm and Debian: the host does not import scikit-learn.
_CARRIER = "scikit-learn"
_FILE_IN_CARRIER = "sklearn/datasets/data/digits.csv.gz"
_SIDE = 8
_BRIGHTEST = 16


def read_digits(path: Path) -> Splits:
    """Both splits from a gzipped table of 64 brightnesses 0..16 and a label a line; a sentence when it is damaged."""
    with reading(path, f"install {_CARRIER} anew"):
        table = np.loadtxt(path, delimiter=",").astype(np.int64)
        brightness, labels = table[:, :-1], table[:, -1]
        images = np.rint(brightness * 255 / _BRIGHTEST).astype(np.uint8).reshape(-1, _SIDE, _SIDE, 1)
    return {
        "train": Examples(images[:-HELD_OUT], labels[:-HELD_OUT]),
        "test": Examples(images[-HELD_OUT:], labels[-HELD_OUT:]),
    }


def _local(data_dir: Path, report: Report) -> Splits | None:
    try:
        path = Path(str(distribution(_CARRIER).locate_file(_FILE_IN_CARRIER)))
    except PackageNotFoundError:
        return None
    report(f"reading {path}")
    return read_digits(path)


def _fetch(work: Path, report: Report) -> Splits:
    raise PeelVitError(f"{_CARRIER}, which contains them, is not installed (`pip install {_CARRIER}`)")


DIGITS = Source(
    name="digits",
    classes=tuple(str(digit) for digit in range(10)),
    mean=(0.3054,),
    std=(0.3753,),
    local=_local,
    fetch=_fetch,
    by_hand="digits-train.npz, digits-test.npz and their .sha256 files from another machine",
)
