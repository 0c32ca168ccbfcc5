"""``python -m sim.board.profile``: what the host does around the kernel in a training step, against the virtual board.

The real training loop, pynq and the board's device run in this process on the in-process transport. The kernel computes
the first step (the C simulation) and then lasts as long as its modelled cycles, so that work beside it overlaps as it
would on a board. Overhead is a step's wall time less the kernel's: everything else on the way; what is done beside the
kernel is shown, but adds nothing. Number formats are not fitted, as times do not depend on them.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from host.backends import load_config
from host.board.accelerator import Accelerator
from host.board.window import Window
from host.data.loader import Batches
from host.device import nothing
from host.devices.pynq import PynqDevice
from host.errors import PeelVitError, run_main
from host.learner import DeviceLearner
from host.metrics import RunLog
from host.micro_batches import MicroBatches
from host.model import ViTConfig
from host.options import LEVELS, Options
from host.runtime import SessionOptions
from host.tensor_memory import TensorMemory
from host.training import Step, train
from sim.board.bitstream import write_bitstream
from sim.board.board import Board
from sim.board.in_process import InProcessDevice
from sim.board.paced import PacedKernel

LIMIT = 0.02
"""Part of the modelled step that the host may take."""

ARM_FACTOR = 8.0
"""Times that a Cortex-A53 at 1.2 GHz takes of a desktop core for Python and copies: estimated, not measured."""

MEMORY_LIMIT = 2 << 30
_TIMEOUT = 3600.0
_PICTURE = (500, 375)
"""Width and height in pixels: an ImageNet picture's usual ones."""


class _Enough(Exception):
    """All steps were measured."""


@dataclass(frozen=True)
class Mark:
    """Clocks and counts at the end of a step."""

    wall: float
    thread: float
    kernel: float
    modelled: float
    runs: int
    parts: dict[str, float]


@dataclass(frozen=True)
class Overhead:
    """Per training step, in milliseconds; medians over the measured steps."""

    model: str
    batch: int
    level: str
    steps: int
    starts_per_step: float
    modelled_ms: float
    overhead_ms: float
    best_overhead_ms: float
    host_processor_ms: float
    parts_ms: dict[str, float]

    @property
    def part(self) -> float:
        """Overhead as a part of the modelled step."""
        return self.overhead_ms / self.modelled_ms


PARTS: dict[str, tuple[Any, str]] = {
    "wait for the batch": (Batches, "__next__"),
    "write inputs": (MicroBatches, "place"),
    "flush": (Window, "publish"),
    "read results": (TensorMemory, "read"),
    "read slot table": (TensorMemory, "read_slots"),
    "log": (RunLog, "end_step"),
}
"""Calls of a step that are timed one by one, but for those beside the kernel."""

START, END, BESIDE = "start the kernel", "notice its end", "(beside the kernel)"


class _Clock:
    """Adds up what calls take; what is done beside the kernel is one part, and no other."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds, self._is_beside = seconds, False

    def add(self, name: str, seconds: float) -> None:
        """Add to a part."""
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds

    def timed(self, call: Any, name: str) -> Any:
        """`call`, timed."""

        def timed(*arguments: Any, **settings: Any) -> Any:
            begin = time.perf_counter()
            try:
                return call(*arguments, **settings)
            finally:
                if not self._is_beside:
                    self.add(name, time.perf_counter() - begin)

        return timed

    def beside(self, work: Any) -> Any:
        """Work beside the kernel, timed."""

        def timed() -> None:
            begin, self._is_beside = time.perf_counter(), True
            try:
                work()
            finally:
                self._is_beside = False
                self.add(BESIDE, time.perf_counter() - begin)

        return timed


@contextmanager
def timed_parts(kernel: PacedKernel, seconds: dict[str, float]) -> Iterator[None]:
    """Add up what the calls in `PARTS` take, and what lies between them and the kernel."""
    run, clock = Accelerator.run, _Clock(seconds)

    def timed_run(accelerator: Accelerator, program: int, timeout: float, work: Any = nothing) -> Any:
        begin = time.perf_counter()
        report = run(accelerator, program, timeout, clock.beside(work))
        clock.add(START, kernel.began - begin)
        clock.add(END, time.perf_counter() - kernel.ended)
        return report

    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(Accelerator, "run", timed_run))
        for name, (owner, attribute) in PARTS.items():
            timed = clock.timed(getattr(owner, attribute), name)
            patches.enter_context(mock.patch.object(owner, attribute, timed))
        yield


class _Unfitted(DeviceLearner):
    """A session that trains with the number formats it begins with."""

    def calibrate(self, patches: NDArray[np.int16], labels: Any = None) -> None:
        """Nothing: times do not depend on the formats, and fitting them takes many simulated runs."""
        self._calibrated = True


def measure(config_name: str, model: str, batch: int, level: str, steps: int) -> Overhead:
    """Train `steps` steps beyond the first and one more, and look at each."""
    config = load_config(config_name)
    kernel, board = PacedKernel(config), Board()
    board.use(kernel)
    marks: list[Mark] = []
    parts: dict[str, float] = {}

    def open_learner(options: Options, shape: ViTConfig) -> DeviceLearner:
        device = PynqDevice(config, bitfile=write_bitstream(config), timeout=_TIMEOUT, device=InProcessDevice(board))
        settings = SessionOptions(batch, label_smoothing=options.smoothing, memory_limit=MEMORY_LIMIT)
        return _Unfitted(device, shape, options.sparsity, settings)

    def on_step(step: Step) -> None:
        kernel.pacing = True
        now = time.perf_counter(), time.thread_time(), kernel.seconds, kernel.modelled, kernel.runs
        marks.append(Mark(*now, dict(parts)))
        if step.number == steps + 2:
            raise _Enough

    with tempfile.TemporaryDirectory() as folder:
        options = _options(config_name, model, batch, level, steps, Path(folder))
        try:
            with timed_parts(kernel, parts):
                train(options, open_learner=open_learner, on_step=on_step)
        except _Enough:
            pass
    return _overhead(model, batch, level, marks[1:])


def _options(config: str, model: str, batch: int, level: str, steps: int, folder: Path) -> Options:
    _, tokens, attention = LEVELS[level]
    write_pictures(folder / "pictures", (steps + 4) * batch)
    return Options(
        backend="pynq",
        config=config,
        model=model,
        batch_size=batch,
        dataset=str(folder / "pictures"),
        num_classes=None if "classes=" in model else 1000,
        epochs=1,
        token_keep=tokens,
        attention_keep=attention,
        sparsity_warmup=(0.0, 0.0),
        log_interval=1,
        no_progress=True,
        output=folder / "run",
    )


def write_pictures(folder: Path, count: int) -> None:
    """Pictures of two classes of ImageNet's usual size, from smooth noise: as long to decode as photographs."""
    random = np.random.default_rng(0)
    for split, number in (("train", count), ("val", 2)):
        for index in range(number):
            coarse = Image.fromarray(random.integers(0, 256, (47, 63, 3), dtype=np.uint8))
            path = folder / split / f"class{index % 2}" / f"{index}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse.resize(_PICTURE, Image.Resampling.BICUBIC).save(path, quality=90)


def _overhead(model: str, batch: int, level: str, marks: list[Mark]) -> Overhead:
    pairs = list(pairwise(marks))
    overheads = [(b.wall - a.wall) - (b.kernel - a.kernel) for a, b in pairs]
    parts = {
        name: _milliseconds([b.parts.get(name, 0.0) - a.parts.get(name, 0.0) for a, b in pairs])
        for name in (*PARTS, START, END, BESIDE)
    }
    return Overhead(
        model,
        batch,
        level,
        len(pairs),
        (marks[-1].runs - marks[0].runs) / len(pairs),
        _milliseconds([b.modelled - a.modelled for a, b in pairs]),
        _milliseconds(overheads),
        round(min(overheads) * 1e3, 3),
        _milliseconds([b.thread - a.thread for a, b in pairs]),
        parts,
    )


def _milliseconds(seconds: list[float]) -> float:
    return round(float(np.median(seconds)) * 1e3, 3)


def table(rows: list[Overhead]) -> str:
    """What was measured, a line a row and its parts below."""
    lines = []
    for row in rows:
        lines.append(
            f"{row.model}, {row.batch} images, {row.level}: {row.starts_per_step:g} start a step of "
            f"{row.modelled_ms:.1f} ms (modelled); host {row.overhead_ms:.2f} ms = {row.part:.2%} "
            f"(best step {row.best_overhead_ms:.2f} ms; processor time of the thread {row.host_processor_ms:.2f} ms)"
        )
        lines += [f"    {name:20} {ms:8.3f} ms" for name, ms in row.parts_ms.items()]
    return "\n".join(lines)


def main() -> int:
    """Command line; 1 when a row is above the limit."""
    options = _parser().parse_args()
    rows = [
        measure(options.config, options.model, batch, level, options.steps)
        for batch in options.batch
        for level in options.levels
    ]
    print(table(rows))
    print(
        f"measured on {platform.processor() or platform.machine()}; an ARM Cortex-A53 is slower, about {ARM_FACTOR:g} "
        "times (an estimate), so multiply the host's part by that for the board"
    )
    content = {
        "what": "host overhead of a training step: measured wall time less the kernel's; the kernel's time is modelled",
        "config": options.config,
        "limit": LIMIT,
        "arm_factor_estimated": ARM_FACTOR,
        "rows": [asdict(row) | {"part": round(row.part, 5)} for row in rows],
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(content, indent=1) + "\n")
    above = [row for row in rows if row.part > LIMIT]
    print(f"written: {options.json}; {'above' if above else 'within'} the limit of {LIMIT:.0%} of the modelled step")
    return int(bool(above))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sim.board.profile", description="Host overhead a training step.")
    parser.add_argument("--config", default="zcu102", help="hardware configuration; default zcu102")
    parser.add_argument("--model", default="deit_tiny_patch16_224", help="default deit_tiny_patch16_224")
    parser.add_argument("--batch", nargs="+", type=_count, default=[16], help="micro-batches; default 16")
    parser.add_argument("--levels", nargs="+", choices=LEVELS, default=["dense", "0.7"], help="default dense 0.7")
    parser.add_argument("--steps", type=_count, default=20, help="steps to measure; default 20")
    parser.add_argument("--json", type=Path, default=Path("reports/profile.json"), help="where figures are written to")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise PeelVitError(f"{text} is no number of images or steps; give 1 or more")
    return int(text)


if __name__ == "__main__":
    run_main(main)
