"""The demonstration's folder: made, or emptied of the demonstration before, and of nothing else."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from host.checkpoint import replaced_file
from host.errors import PeelVitError, is_disk_full
from sim.demo.recipe import Recipe

MARK = "demo.json"
"""Says that a folder is the demonstration's, and with which recipe."""

INITIAL_WEIGHTS = "initial.npz"
METRICS = "metrics.json"
LEARNING_CURVES = "learning_curves.png"
KEPT_TOKENS = "kept_tokens.png"
RUNS = ("dense", "trilevel", "fp32")
_FILES = (INITIAL_WEIGHTS, METRICS, LEARNING_CURVES, KEPT_TOKENS)


def prepare_folder(folder: Path, recipe: Recipe) -> None:
    """Make `folder` hold nothing but the recipe; a demonstration that is there already goes, after saying so.

    `PeelVitError` when the folder holds something else or cannot be written.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            _empty(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with replaced_file(folder / MARK) as file:
            file.write((json.dumps(asdict(recipe), indent=2, default=str) + "\n").encode())
    except OSError as error:
        if is_disk_full(error):
            raise PeelVitError(f"the disk of {folder} is full; free some space or choose another --out") from None
        raise PeelVitError(f"cannot write to {folder} ({error.strerror}); choose another --out") from None


def _empty(folder: Path) -> None:
    if not (folder / MARK).exists():
        raise PeelVitError(f"{folder} holds something else than a demonstration; choose another --out")
    print(f"overwriting the demonstration in {folder}", flush=True)
    for name in RUNS:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
