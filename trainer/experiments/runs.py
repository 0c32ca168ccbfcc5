"""Runs of the experiments: one process each, some at a time, those that are done left alone, stopped ones resumed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from host.data.registry import SOURCES
from host.model import parse_model
from sim.demo.weights import write_weights
from trainer.experiments.rows import Row, command, recipe, start_weights

CHECKPOINTS = ("checkpoint.pt", "checkpoint.npz")
LOG_NAME = "log.txt"


@dataclass(frozen=True)
class Run:
    """One row with one seed; its files are in `folder`."""

    dataset: str
    row: Row
    seed: int
    folder: Path

    @property
    def metrics(self) -> dict[str, Any] | None:
        """What metrics.json holds; None while the run is not done."""
        try:
            content: dict[str, Any] = json.loads((self.folder / "metrics.json").read_text())
        except (OSError, ValueError):
            return None
        return content

    @property
    def arguments(self) -> list[str]:
        """Of `python -m trainer.train`."""
        return command(self.row, self.dataset, self.seed, self.folder)

    @property
    def command_line(self) -> str:
        """What a user would type to repeat it."""
        return shlex.join(["python", "-m", "trainer.train", *self.arguments])

    def start(self) -> subprocess.Popen[bytes]:
        """A process that trains it, from its checkpoint where there is one; it writes to log.txt."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_start()
        arguments = [*self.arguments, "--no-progress"]
        if any((self.folder / name).exists() for name in CHECKPOINTS):
            arguments += ["--resume", str(self.folder)]
        with (self.folder / LOG_NAME).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "trainer.train", *arguments],
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    def _write_start(self) -> None:
        """The seed's first weights: the demo's, scaled for a short run of a narrow model."""
        path = start_weights(self.folder.parent, self.seed)
        if not path.exists():
            data = SOURCES[self.dataset]
            model = parse_model(recipe(self.dataset)["model"], classes=len(data.classes), channels=len(data.mean))
            write_weights(path, model, self.seed)

    @property
    def last_words(self) -> str:
        """The last line of the log."""
        lines = (self.folder / LOG_NAME).read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "no output")


def plan(folder: Path, datasets: Sequence[str], rows: Sequence[Row], seeds: Sequence[int]) -> list[Run]:
    """All runs: table "levels" first, with every seed; then one seed of everything after another."""
    runs = [Run(d, row, s, folder / d / f"{row.name}-{s}") for d in datasets for s in seeds for row in rows]
    return sorted(runs, key=lambda run: (run.row.table != "levels", run.seed))


def train_all(runs: Iterable[Run], jobs: int) -> list[Run]:
    """Train what is not done, `jobs` at a time; the runs that failed."""
    waiting = [run for run in runs if run.metrics is None]
    running: dict[subprocess.Popen[bytes], Run] = {}
    failed: list[Run] = []
    progress = tqdm(total=len(waiting), unit="run", disable=None)
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                run = waiting.pop(0)
                running[run.start()] = run
            progress.set_postfix_str(", ".join(f"{run.dataset} {run.folder.name}" for run in running.values()))
            time.sleep(1)
            for process in [process for process in running if process.poll() is not None]:
                run = running.pop(process)
                progress.update()
                if process.returncode or run.metrics is None:
                    failed.append(run)
                    tqdm.write(f"{run.folder} failed: {run.last_words}")
    finally:
        for process in running:  # each saves a checkpoint, from which the next start goes on
            process.terminate()
        for process in running:
            process.wait()
        progress.close()
    return failed
