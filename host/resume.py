"""Continuing a run: its options from its checkpoint, and a refusal of those that contradict it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.checkpoint import latest_checkpoint, load_checkpoint
from host.errors import CheckpointError, PeelVitError
from host.options import Options, as_json, flag, from_json, must_match

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Saved:
    """A checkpoint in memory: arrays by `part.name`, and what JSON holds."""

    path: Path
    arrays: Arrays
    meta: dict[str, Any]

    def part(self, prefix: str) -> Arrays:
        """The arrays of one part, by their own names."""
        start = f"{prefix}."
        return {name.removeprefix(start): array for name, array in self.arrays.items() if name.startswith(start)}

    def entry(self, name: str) -> Any:
        """One entry of what JSON holds; `CheckpointError` when it is not there."""
        if name not in self.meta:
            raise CheckpointError(f"{self.path} lacks '{name}'; resume from a checkpoint that train_edge.py wrote")
        return self.meta[name]


def join(**parts: Mapping[str, NDArray[Any]]) -> Arrays:
    """Arrays of several parts in one dictionary, for `save_checkpoint`."""
    return {f"{part}.{name}": np.asarray(array) for part, arrays in parts.items() for name, array in arrays.items()}


def load_saved(where: Path) -> Saved:
    """The checkpoint file `where`, or the newest one of the run in that folder."""
    path = latest_checkpoint(where)
    return Saved(path, *load_checkpoint(path))


def options_for(given: Mapping[str, Any]) -> tuple[Options, Saved | None]:
    """The options of a run from those given, and the checkpoint that it resumes.

    What is not given comes from the checkpoint; what is given and must be as it was is compared. `PeelVitError` names
    the first option that differs.
    """
    if given.get("resume") is None:
        return Options(**given), None
    saved = load_saved(given["resume"])
    before = saved.entry("options")
    _compare(given, before, saved.path)
    values = from_json(before) | dict(given)
    values["output"] = _folder(saved.path, given.get("output"))
    return Options(**values), saved


def _compare(given: Mapping[str, Any], before: Mapping[str, Any], path: Path) -> None:
    wanted = as_json(Options(**given))
    for name in given.keys() & before.keys():
        if must_match(name) and wanted[name] != before[name]:
            raise PeelVitError(
                f"{flag(name)} is {wanted[name]} but {path} was made with {before[name]}; "
                "leave the option out or give the same value"
            )


def _folder(checkpoint: Path, output: Path | None) -> Path:
    """The run's folder, where the checkpoint lies."""
    folder = checkpoint.parent
    if output is not None and output.resolve() != folder.resolve():
        raise PeelVitError(f"--output is {output} but the resumed run is in {folder}; leave --output out")
    return folder
