"""How long a row's steps take beside dense ones: measured in turn, on an idle machine, apart from the training runs.

Runs that share a machine, or follow each other for an hour, do not give ratios of time; steps that alternate do.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from host.checkpoint import replaced_file
from trainer.allocator import keep_freed_memory
from trainer.cost.architectures import describe
from trainer.cost.model import StepCost
from trainer.cost.table import average_time, measured_keeps
from trainer.cost.timing import measure_steps
from trainer.experiments.results import model_arguments, schedule_of
from trainer.experiments.rows import Row, command
from trainer.models.registry import create_model
from trainer.options import Options, as_plain, parse

ROUNDS = 21


def is_timed(row: Row) -> bool:
    """Whether the row's steps are dense ones but for tokens and connections.

    Examples that are not shown cost nothing; a curriculum changes the image, the accelerator is simulated.
    """
    return row.table in ("levels", "longer", "tokens", "attention")


def time_row(row: Row, dataset: str, rounds: int) -> float:
    """Mean step time of the row's run over that of a dense step, with its keep ratios' schedule."""
    options = as_plain(Options(**parse(command(row, dataset, 0, Path("unused/run")))))
    arguments, run = model_arguments(options), schedule_of(options)
    model = create_model(options["model"], **arguments)
    baseline = create_model(options["model"], **arguments | {"token_method": "dense", "method_options": {}})
    config, batch = model.config, options["batch_size"]
    images = torch.randn(batch, config.channels, config.image_size, config.image_size)
    times = measure_steps(baseline, model, measured_keeps(run), images, torch.arange(batch) % config.classes, rounds)
    return average_time(StepCost(describe(options["model"], **arguments)), run, times)


def measure(datasets: Sequence[str], rows: Sequence[Row], folder: Path, rounds: int = ROUNDS) -> None:
    """Write the ratios of all rows to <folder>/<dataset>-times.json."""
    keep_freed_memory()
    for dataset in datasets:
        path = folder / f"{dataset}-times.json"
        ratios = read(path)
        for row in tqdm([row for row in rows if is_timed(row)], f"{dataset} times", unit="row", disable=None):
            ratios[row.name] = round(time_row(row, dataset, rounds), 4)
        with replaced_file(path) as file:
            file.write((json.dumps(ratios, indent=1) + "\n").encode())


def read(path: Path) -> dict[str, float]:
    """The ratios in a file of `measure`; none where it is not there."""
    if not path.exists():
        return {}
    ratios: dict[str, float] = json.loads(path.read_text())
    return ratios
