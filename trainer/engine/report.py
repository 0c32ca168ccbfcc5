"""What a run tells: a progress bar or lines, summary.csv, args.yaml, metrics.json and TensorBoard's events."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from host.checkpoint import replaced_file
from host.metrics import StepTable
from trainer.options import Options, as_yaml

Value = int | float | str


class Report:
    """The files and the progress of a run; only the first process of several has one that is `active`."""

    def __init__(self, options: Options, *, epoch: int, update: int, total: int, active: bool = True) -> None:
        """Go on after `update` updates in `epoch`; rows of later epochs, from before a crash, are dropped."""
        self.folder, self.active = options.folder, active
        self._total = total
        self._shown = active and not options.no_progress
        self._bar = tqdm(
            total=total, initial=update, unit="step", dynamic_ncols=True, disable=None if self._shown else True
        )
        self._since = time.perf_counter()
        self._events = _open_events(self.folder, update) if active else None
        if active:
            _write_yaml(self.folder / "args.yaml", as_yaml(options))
            self._summary = StepTable(self.folder / "summary.csv", lambda row: int(row["epoch"]) < epoch)

    def __enter__(self) -> Report:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        if self._events is not None:
            self._events.close()
        if self.active:
            self._summary.close()

    def updates(self, update: int, images: int, values: Mapping[str, float]) -> None:
        """Tell of the updates since the last call, which showed `images` images; the last is `update`, from 1."""
        now = time.perf_counter()
        values = {**values, "images_per_second": images / (now - self._since)}
        self._since = now
        text = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        if self._bar.disable:
            self.line(f"step {update}/{self._total}  {text}")
        else:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(update - self._bar.n)
        self._scalars("train", values, update)

    def epoch(self, epoch: int, update: int, row: Mapping[str, Value]) -> None:
        """Close `epoch` with its row of summary.csv."""
        if self.active:
            self._summary.append({"epoch": epoch, **row})
        self._since = time.perf_counter()  # what lies between two epochs is no training
        self._scalars("epoch", {name: value for name, value in row.items() if not isinstance(value, str)}, update)

    def line(self, text: str) -> None:
        """Print a line beside the progress bar."""
        if self._shown:
            tqdm.write(text, file=sys.stderr)

    def metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write metrics.json, all at once."""
        if self.active:
            with replaced_file(self.folder / "metrics.json") as file:
                file.write((json.dumps(metrics, indent=2) + "\n").encode())

    def sync(self) -> None:
        """Force the rows to the disk, so that a checkpoint never knows of more than the files beside it."""
        if self.active:
            self._summary.sync()

    def _scalars(self, group: str, values: Mapping[str, float], update: int) -> None:
        if self._events is not None:
            for name, value in values.items():
                self._events.add_scalar(f"{group}/{name}", value, update)


def _open_events(folder: Path, update: int) -> Any:
    """TensorBoard's writer, or None where it is not installed: everything it would show is in summary.csv."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=update + 1 if update else None)


def _write_yaml(path: Path, values: Mapping[str, Any]) -> None:
    with replaced_file(path) as file:
        file.write(yaml.safe_dump(dict(values), sort_keys=False).encode())
