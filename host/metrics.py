"""What a run reports: a progress line on stderr, and the files that a resumed run continues as if never interrupted.

    steps.csv     one row every `log_interval` updates: loss, accuracy, saturations, modelled time
    summary.csv   one row an epoch, as timm's: means over the epoch and what the caller adds (eval_top1, lr, ...)
    timing.csv    wall-clock time and, with a power meter, energy; with power.csv, all that two equal runs may differ in
    power.csv     mean watts of every rail between two rows; there only with a power meter
    metrics.json  what the run came to, written at its end

Steps are optimizer updates counted from 1 here: row `step` says what is true after that many updates.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np
from numpy.typing import NDArray

from host.checkpoint import replaced_file
from host.errors import CheckpointError
from host.power.meter import Energy, PowerMeter
from host.power.rails import RAILS

Value = int | float | str

TIMING_COLUMNS = ("step", "seconds", "images_per_second", "joules_per_image", "watts", "idle_watts")
"""Of timing.csv. Energy is that above idle, watts those of all rails; what was not measured is left empty."""

POWER_COLUMNS = ("step", "seconds", *RAILS.values())


@dataclass(frozen=True)
class StepResult:
    """What one optimizer update was.

    `loss` is the mean over its `images`, of which `correct` were classified right; `saturations` counts the values that
    did not fit their format; `modelled_ms` is the modelled time on the device for the whole update, 0 where unknown.
    """

    loss: float
    correct: int
    images: int
    saturations: int = 0
    modelled_ms: float = 0.0


@dataclass
class _Totals:
    """Sums over the images of an epoch so far; part of the checkpoint."""

    loss: float = 0.0
    correct: int = 0
    images: int = 0
    saturations: int = 0

    def add(self, result: StepResult) -> None:
        self.loss += result.loss * result.images
        self.correct += result.correct
        self.images += result.images
        self.saturations += result.saturations

    def row(self) -> dict[str, Value]:
        images = max(self.images, 1)
        return {
            "train_loss": self.loss / images,
            "train_top1": 100.0 * self.correct / images,
            "saturations": self.saturations,
        }


class RunLog:
    """The log of one training run in `out_dir`; use it as a context manager.

    Arguments:
        out_dir: folder of the run, made when missing.
        total_steps: optimizer updates of the whole run.
        resume_step: updates already done; rows after it (written between the last checkpoint and a crash) are dropped,
            and so is the last row of a run that was to end early. With 0 the files start empty.
        resume_epoch: epochs already closed; rows of summary.csv after them are dropped.
        log_interval: updates between two rows and, without a terminal, between two printed lines.
        progress: whether to show anything.
        stream: where progress goes; a bar when it is a terminal and tqdm is installed, plain lines otherwise.
        clock: seconds from any origin, for the timings only.
        power: measures energy; its caller has started it and closes it.
    """

    def __init__(
        self,
        out_dir: Path | str,
        total_steps: int,
        *,
        resume_step: int = 0,
        resume_epoch: int = 0,
        log_interval: int = 10,
        progress: bool = True,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.perf_counter,
        power: PowerMeter | None = None,
    ) -> None:
        self.out_dir, self.total_steps, self.log_interval = Path(out_dir), total_steps, log_interval
        self.out_dir.mkdir(parents=True, exist_ok=True)

        def keep_step(row: Mapping[str, str]) -> bool:
            step = int(row["step"])
            return step <= resume_step and self._is_logged(step)

        self._steps = StepTable(self.out_dir / "steps.csv", keep_step)
        self._summary = StepTable(self.out_dir / "summary.csv", lambda row: int(row["epoch"]) < resume_epoch)
        self._timing = StepTable(self.out_dir / "timing.csv", keep_step, TIMING_COLUMNS)
        self._tables = [self._steps, self._summary, self._timing]
        self._power, self._rails = power, None
        if power is not None and power.rails:
            self._rails = StepTable(self.out_dir / "power.csv", keep_step, POWER_COLUMNS)
            self._tables.append(self._rails)
        self._epoch_totals = _Totals()
        self._progress = _open_progress(stream or sys.stderr, total_steps, resume_step) if progress else _Silence()
        self._clock = clock
        self._restart_timing(clock())

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self) -> None:
        """Training begins now: what was before, such as calibration, is no training time."""
        self._restart_timing(self._clock())

    def end_step(self, step: int, result: StepResult) -> None:
        """Note update number `step` (the first is 1)."""
        self._epoch_totals.add(result)
        self._images_since += result.images
        if not self._is_logged(step):
            return
        row: dict[str, Value] = {
            "step": step,
            "loss": result.loss,
            "top1": 100.0 * result.correct / result.images,
            "saturations": result.saturations,
            "modelled_ms_per_image": result.modelled_ms / result.images,
        }
        self._steps.append(row)
        self._progress.show(step, _progress_text(row, self._log_timing(step)))

    def _is_logged(self, step: int) -> bool:
        return step % self.log_interval == 0 or step == self.total_steps

    def _log_timing(self, step: int) -> dict[str, Value]:
        """Append a row of timing and return it: what was since the last row or the start of the epoch."""
        now = self._clock()
        seconds, images = now - self._last_time, self._images_since
        energy = self._restart_timing(now)
        rate = images / seconds if seconds > 0 else 0.0
        row: dict[str, Value] = {"step": step, "seconds": seconds, "images_per_second": rate}
        row |= {"joules_per_image": "", "watts": "", "idle_watts": ""}
        if energy is not None:
            joules = energy.joules_above_idle / images
            row |= {"joules_per_image": joules, "watts": energy.watts, "idle_watts": energy.idle_watts}
        self._timing.append(row)
        if energy is not None and self._rails is not None:
            watts = {name: energy.by_rail[name] / energy.seconds for name in energy.by_rail}
            rails: dict[str, Value] = dict.fromkeys(POWER_COLUMNS, "")
            self._rails.append(rails | {"step": step, "seconds": energy.seconds} | watts)
        return row

    def _restart_timing(self, now: float) -> Energy | None:
        """Begin to measure anew; the energy since the last time."""
        self._last_time, self._images_since = now, 0
        return self._power.take() if self._power is not None else None

    def end_epoch(self, epoch: int, step: int, **columns: Value) -> None:
        """Close `epoch` (counted from 0) after update `step` with one row of summary.csv.

        `columns` (eval_loss, eval_top1, lr, ...) follow epoch, step, train_loss, train_top1 and saturations, and must
        be the same ones each time.
        """
        self._summary.append({"epoch": epoch, "step": step} | self._epoch_totals.row() | columns)
        self._epoch_totals = _Totals()
        self._restart_timing(self._clock())  # the evaluation between two epochs is no training time

    def curve(self, column: str) -> tuple[list[int], list[float]]:
        """The steps and the values of one column of steps.csv, all the way from the run's start."""
        rows = self._steps.rows()
        return [int(row["step"]) for row in rows], [float(row[column]) for row in rows]

    def timing(self) -> dict[str, float]:
        """Seconds of training so far, evaluations left out, and images a second, over all parts of a resumed run.

        `joules_per_image`, above idle, only where all of the run was measured.
        """
        rows = self._timing.rows()
        seconds = sum(float(row["seconds"]) for row in rows)
        counts = [float(row["seconds"]) * float(row["images_per_second"]) for row in rows]
        timing = {"train_seconds": seconds, "images_per_second": sum(counts) / seconds if seconds else 0.0}
        if sum(counts) and all(row["joules_per_image"] for row in rows):
            joules = sum(float(row["joules_per_image"]) * count for row, count in zip(rows, counts, strict=True))
            timing["joules_per_image"] = joules / sum(counts)
        return timing

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Put `metrics` into metrics.json, in the order given and all at once."""
        with replaced_file(self.out_dir / "metrics.json") as file:
            file.write((json.dumps(metrics, indent=2) + "\n").encode())

    def message(self, text: str) -> None:
        """Print a line without tearing the progress bar."""
        self._progress.message(text)

    def state(self) -> dict[str, NDArray[Any]]:
        """What a resume within an epoch needs: the sums over the epoch so far.

        Forces the rows so far to the disk, so that a checkpoint never knows of more than the files beside it.
        """
        for table in self._tables:
            table.sync()
        return {name: np.asarray(value) for name, value in asdict(self._epoch_totals).items()}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from `state()`; `CheckpointError` when something is missing."""
        try:
            self._epoch_totals = _Totals(**{name: state[name].item() for name in asdict(_Totals())})
        except KeyError as missing:
            raise CheckpointError(f"the run log's state lacks {missing}; resume from another checkpoint") from None

    def close(self) -> None:
        """Close files and progress bar; may be called again."""
        for table in self._tables:
            table.close()
        self._progress.close()


class StepTable:
    """A CSV file with a `step` column, appended a row at a time, each row on its way to the disk at once."""

    def __init__(self, path: Path, keep: Callable[[Mapping[str, str]], bool], columns: Sequence[str] = ()) -> None:
        """Open `path`, dropping every row that `keep` refuses and any row torn by a crash.

        With `columns` the rows have these, empty where an earlier version of the program did not write them.
        """
        self.path = path
        kept = [row for row in self.rows() if keep(row)]
        if columns:
            kept = [{name: row.get(name, "") for name in columns} for row in kept]
        self._columns = list(kept[0]) if kept else []
        with replaced_file(path) as file:
            if kept:
                file.write(_csv_lines([self._columns, *(row.values() for row in kept)]).encode())
        self._file = open(path, "a", encoding="utf-8", newline="")  # noqa: SIM115 (open as long as the run)

    def rows(self) -> list[dict[str, str]]:
        """All complete rows, by column name."""
        if not self.path.exists():
            return []
        # A row without its newline was torn: the process died while writing it.
        whole, _, _ = self.path.read_bytes().rpartition(b"\n")
        return list(csv.DictReader(whole.decode().splitlines()))

    def append(self, row: Mapping[str, Value]) -> None:
        """Write `row`; the first row names the columns, another set of them later is a `ValueError`."""
        if not self._columns:
            self._columns = list(row)
            self._file.write(_csv_lines([self._columns]))
        if list(row) != self._columns:
            raise ValueError(f"{self.path.name} has the columns {self._columns}, not {list(row)}")
        self._file.write(_csv_lines([row.values()]))
        self._file.flush()

    def sync(self) -> None:
        """Force the rows so far to the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; may be called again."""
        self._file.close()


def _csv_lines(rows: Iterable[Iterable[Any]]) -> str:
    """CSV text. Floats appear with all their digits, so that reading them back gives the same bits."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _progress_text(row: Mapping[str, Value], timing: Mapping[str, Value]) -> str:
    modelled = f"modelled {row['modelled_ms_per_image']:.2f} ms/image  " if row["modelled_ms_per_image"] else ""
    energy = f"{timing['joules_per_image']:.3f} J/image  " if timing["joules_per_image"] != "" else ""
    return (
        f"loss {row['loss']:.4f}  top1 {row['top1']:.1f} %  {timing['images_per_second']:.1f} images/s  "
        f"{energy}{modelled}saturations {row['saturations']}"
    )


class _Progress(Protocol):
    def show(self, step: int, text: str) -> None: ...

    def message(self, text: str) -> None: ...

    def close(self) -> None: ...


class _Lines:
    """Progress as plain lines, for log files."""

    def __init__(self, stream: TextIO, total_steps: int) -> None:
        self._stream, self._total = stream, total_steps

    def show(self, step: int, text: str) -> None:
        self.message(f"step {step}/{self._total}  {text}")

    def message(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing to close: the stream is the caller's."""


class _Silence:
    """No progress at all."""

    def show(self, step: int, text: str) -> None: ...

    def message(self, text: str) -> None: ...

    def close(self) -> None: ...


class _Bar:
    """Progress as a tqdm bar, for terminals."""

    def __init__(self, tqdm: Any, stream: TextIO, total_steps: int, done: int) -> None:
        self._bar = tqdm(total=total_steps, initial=done, file=stream, unit="step", dynamic_ncols=True)

    def show(self, step: int, text: str) -> None:
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(step - self._bar.n)

    def message(self, text: str) -> None:
        self._bar.write(text, file=self._bar.fp)

    def close(self) -> None:
        self._bar.close()


def _open_progress(stream: TextIO, total_steps: int, done: int) -> _Progress:
    if stream.isatty():
        try:
            from tqdm import tqdm
        except ImportError:
            pass
        else:
            return _Bar(tqdm, stream, total_steps, done)
    return _Lines(stream, total_steps)
