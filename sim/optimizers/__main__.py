"""Whether AdamW on the fabric trains as well as AdamW in floating point.

    python -m sim.optimizers sequences        # single steps on random gradients -> docs/results/adamw_steps.csv
    python -m sim.optimizers training         # small trainings                  -> docs/results/adamw_training.csv

Trainings that the CSV file holds already are not run again. `make csim` first.
"""

from __future__ import annotations

import argparse
import csv
import math
from dataclasses import asdict, fields
from itertools import product
from pathlib import Path
from statistics import mean, stdev

from host.devices.csim import CsimDevice
from host.errors import run_main
from sim.optimizers.sequences import KINDS, step_errors
from sim.optimizers.training import CASES, MODELS, Result, train
from sim.workload import load_hardware

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
ELEMENTS, SEQUENCE_STEPS = 4000, 2000


def sequences(path: Path) -> None:
    """Errors of each kind of gradients."""
    found = [asdict(step_errors(kind, SEQUENCE_STEPS, ELEMENTS, seed=0)) for kind in KINDS]
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(found[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(found)
    for row in found:
        print(f"{row['kind']:12}  step {row['step']:.4f}  weights {row['weights']:.4f}")


def training(path: Path, steps: int, seeds: int) -> None:
    """Every case, data set, seed and optimizer that `path` does not hold yet."""
    columns = [field.name for field in fields(Result)]
    if not path.is_file():
        path.write_text(",".join(columns) + "\n")
    device = CsimDevice(load_hardware("zcu102"))
    for seed, case, dataset in product(range(seeds), CASES, MODELS):
        done = {(row["case"], row["dataset"], row["optimizer"], row["seed"]) for row in _rows(path)}
        for optimizer in CASES[case]:
            if (case, dataset, optimizer, str(seed)) in done:
                continue
            result = train(case, dataset, optimizer, seed, steps, device)
            with path.open("a", newline="") as file:
                csv.DictWriter(file, columns, lineterminator="\n").writerow(_rounded(result))
            print(*_rounded(result).values(), sep="  ", flush=True)
    print(summary(_rows(path)))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _rounded(result: Result) -> dict[str, object]:
    digits = {"train_loss": 6, "test_loss": 6, "test_top1": 2, "seconds": 1}
    return {name: round(value, digits[name]) if name in digits else value for name, value in asdict(result).items()}


def summary(rows: list[dict[str, str]]) -> str:
    """A Markdown table: mean and standard deviation over the seeds, and how far a seed's train loss is off fp32."""
    header = ("case", "data", "optimizer", "seeds", "train loss", "test loss", "test %", "train loss off fp32, at most")
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    exact = {_run(row): float(row["train_loss"]) for row in rows if row["optimizer"] == "fp32"}
    keys = list(dict.fromkeys((row["case"], row["dataset"], row["optimizer"]) for row in rows))
    for key in sorted(keys, key=lambda key: (list(CASES).index(key[0]), key[1])):
        own = [row for row in rows if (row["case"], row["dataset"], row["optimizer"]) == key]
        cells = [_spread([float(row[name]) for row in own]) for name in ("train_loss", "test_loss", "test_top1")]
        off = max(abs(float(row["train_loss"]) - exact.get(_run(row), math.nan)) for row in own)
        lines.append(f"| {' | '.join((*key, str(len(own)), *cells, f'{off:.5f}'))} |")
    return "\n".join(lines)


def _run(row: dict[str, str]) -> tuple[str, ...]:
    """What trainings that differ in the optimizer only have in common."""
    return row["case"], row["dataset"], row["seed"]


def _spread(values: list[float]) -> str:
    digits = 1 if mean(values) > 10 else 3
    return f"{mean(values):.{digits}f}" + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m sim.optimizers", description="AdamW on the fabric against float.")
    parser.add_argument("what", choices=("sequences", "training"))
    parser.add_argument("--steps", type=int, default=300, help="of each training; default: 300")
    parser.add_argument("--seeds", type=int, default=3, help="default: 3")
    parser.add_argument("--output", type=Path, help="CSV file; default: in docs/results")
    options = parser.parse_args(arguments)
    if options.what == "sequences":
        sequences(options.output or RESULTS / "adamw_steps.csv")
    else:
        training(options.output or RESULTS / "adamw_training.csv", options.steps, options.seeds)


if __name__ == "__main__":
    run_main(main)
