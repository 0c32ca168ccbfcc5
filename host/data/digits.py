"""Digits: 1,797 grey pictures of 8x8 pixels that come inside scikit-learn; small enough for a first try."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from host.data.dataset import Examples
from host.data.source import Report, Source, Splits
from host.errors import PeelVitError

HELD_OUT = 360
"""The last 360 examples are the test split: whole writers, most of whom the training split has not seen."""
_BRIGHTEST = 16


def _local(data_dir: Path, report: Report) -> Splits | None:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        return None
    report("reading the digits of scikit-learn")
    bunch = load_digits()
    images = np.rint(bunch.images * 255 / _BRIGHTEST).astype(np.uint8)[..., None]
    labels = bunch.target.astype(np.int64)
    return {
        "train": Examples(images[:-HELD_OUT], labels[:-HELD_OUT]),
        "test": Examples(images[-HELD_OUT:], labels[-HELD_OUT:]),
    }


def _fetch(work: Path, report: Report) -> Splits:
    raise PeelVitError("scikit-learn, which contains them, is not installed (`pip install scikit-learn`)")


DIGITS = Source(
    name="digits",
    classes=tuple(str(digit) for digit in range(10)),
    mean=(0.3054,),
    std=(0.3755,),
    local=_local,
    fetch=_fetch,
    by_hand="digits-train.npz, digits-test.npz and their .sha256 files from another machine",
)
