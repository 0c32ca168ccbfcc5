"""What the runs gave: a line a run as CSV, and means over seeds with savings against dense training."""

from __future__ import annotations

import csv
import io
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from host.checkpoint import replaced_file
from host.data.registry import SOURCES
from trainer.cost.architectures import describe
from trainer.cost.model import StepCost
from trainer.cost.schedule import TrainingRun
from trainer.engine.job import settings
from trainer.experiments.rows import ROWS, Row
from trainer.experiments.runs import Run
from trainer.keep import DENSE as ALL
from trainer.keep import Keep


@dataclass(frozen=True)
class Result:
    """One run.

    Attributes:
        accuracy: on the test images, percent, after the last epoch.
        images_seen: training images shown, repeats counted.
        cpu_seconds: processor time of the training steps on a machine that did other work too: not for comparing.
            Empty where the accelerator was simulated.
        step_macs_ratio: modelled MACs of a step over dense, averaged over the schedule.
    """

    dataset: str
    row: str
    seed: int
    accuracy: float
    test_images: int
    images_seen: int
    cpu_seconds: float | None
    step_macs_ratio: float | None
    machine: str
    finished: str
    command: str


@dataclass(frozen=True)
class Summary:
    """One row over its seeds; savings are against the dense row of the same data set."""

    row: Row
    seeds: int
    accuracy: float
    deviation: float | None
    difference: float | None
    time_saved: float | None
    macs_saved: float | None
    images_saved: float | None


def result_of(run: Run) -> Result | None:
    """The result of a run that is done."""
    metrics = run.metrics
    if metrics is None:
        return None
    finished = datetime.fromtimestamp((run.folder / "metrics.json").stat().st_mtime)
    return Result(
        dataset=run.dataset,
        row=run.row.name,
        seed=run.seed,
        accuracy=metrics["test_accuracy"],
        test_images=metrics["test_images"],
        images_seen=metrics["images_seen"],
        cpu_seconds=metrics["timing"].get("train_cpu_seconds"),
        step_macs_ratio=step_macs_ratio(metrics["options"]),
        machine=machine(),
        finished=finished.isoformat(timespec="minutes"),
        command=run.command_line,
    )


def step_macs_ratio(options: Mapping[str, Any]) -> float | None:
    """Modelled MACs of a training step over a dense one's, averaged over the run; None with a changing image size."""
    if options.get("curriculum", "none") != "none":
        return None
    cost = StepCost(describe(options["model"], **model_arguments(options)))
    return schedule_of(options).average(cost) / cost(ALL)


def model_arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """What `create_model` and `describe` want to know of a run's options; the accelerator's runs name fewer."""
    data = SOURCES[options["dataset"]]
    return {
        "num_classes": len(data.classes),
        "in_chans": len(data.mean),
        "token_method": options.get("token_method", "trilevel"),
        "attention_method": options.get("attention_method", "selected"),
        "select_before": options.get("select_before"),
        "method_options": settings(tuple(map(tuple, options.get("method_option", ())))),
    }


def schedule_of(options: Mapping[str, Any]) -> TrainingRun:
    """The course of the keep ratios; examples are counted as they were shown, not here."""
    return TrainingRun(
        keep=Keep(options["token_keep"], options["attention_keep"]),
        epochs=options["epochs"],
        train_images=options["train_images"],
        batch_size=options["batch_size"],
        warmup=options.get("keep_warmup") or options.get("sparsity_warmup"),
    )


def machine() -> str:
    """Processor, threads a run, and Python of this machine."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, 1 thread a run, Python {platform.python_version()}"


def write_csv(path: Path, results: Iterable[Result]) -> None:
    """A line a run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(Result))
    writer.writerows([_cell(value) for value in asdict(result).values()] for result in results)
    with replaced_file(path) as file:
        file.write(text.getvalue().encode())


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def read_csv(path: Path) -> list[Result]:
    """The lines of `write_csv`."""
    with path.open() as file:
        return [_result(line) for line in csv.DictReader(file)]


def _result(line: dict[str, str]) -> Result:
    numbers = {"accuracy": float, "cpu_seconds": float, "step_macs_ratio": float}
    counts = ("seed", "test_images", "images_seen")
    values: dict[str, Any] = dict(line)
    values |= {name: int(line[name]) for name in counts}
    values |= {name: number(line[name]) if line[name] else None for name, number in numbers.items()}
    return Result(**values)


def summaries(results: Sequence[Result], step_times: Mapping[str, float]) -> list[Summary]:
    """One summary a row of one data set that has results, in the order of the tables.

    `step_times` are those of `trainer.experiments.times`: mean step time over dense, by row.
    """
    of_row = {row.name: [result for result in results if result.row == row.name] for row in ROWS}
    return [
        _summary(row, own, of_row[row.against], 1.0 if row.table == "examples" else step_times.get(row.name))
        for row in ROWS
        if (own := of_row[row.name])
    ]


def _summary(row: Row, own: Sequence[Result], base: Sequence[Result], step_time: float | None) -> Summary:
    seeds = {result.seed for result in own} & {result.seed for result in base}
    pairs = [(_of_seed(own, seed), _of_seed(base, seed)) for seed in sorted(seeds)]
    compared = pairs and row.name != row.against
    images = mean(a.images_seen / b.images_seen for a, b in pairs) if compared else None
    macs = own[0].step_macs_ratio
    return Summary(
        row=row,
        seeds=len(own),
        accuracy=mean(result.accuracy for result in own),
        deviation=stdev(result.accuracy for result in own) if len(own) > 1 else None,
        difference=mean(a.accuracy - b.accuracy for a, b in pairs) if compared else None,
        time_saved=None if images is None or step_time is None else 1 - images * step_time,
        macs_saved=None if images is None or macs is None else 1 - images * macs,
        images_saved=None if images is None else 1 - images,
    )


def _of_seed(results: Sequence[Result], seed: int) -> Result:
    return next(result for result in results if result.seed == seed)
