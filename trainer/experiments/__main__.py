"""Run the experiments, as many at a time as asked; what is done stays done, what was stopped goes on.

python -m trainer.experiments                                   # everything, three seeds, both data sets
python -m trainer.experiments --datasets cifar10 --rows levels  # dense against three keep ratios
python -m trainer.experiments --background                      # the same without a terminal; log in --folder
python -m trainer.experiments --time                            # measure the rows' steps, on an idle machine
python -m trainer.experiments --report                          # tables and figures of what is done so far
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from host.errors import PeelVitError, run_main
from trainer.experiments import times
from trainer.experiments.report import as_markdown, draw
from trainer.experiments.results import read_csv, result_of, summaries, write_csv
from trainer.experiments.rows import DATASETS, ROW_NAMES, rows_named
from trainer.experiments.runs import Run, plan, train_all

SEEDS = (1, 2, 3)
COMMAND = "python -m trainer.experiments"
INTRODUCTION = (
    "Reported as they came out: measured accuracy and time, modelled MACs. The runs are short and the models narrow,",
    "so the tables say how the methods compare there, not what converged training of a DeiT on ImageNet gives.",
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog=COMMAND, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS))
    made.add_argument("--rows", nargs="+", default=list(ROW_NAMES), help="rows or tables; default: all")
    made.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    made.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at a time, one thread each")
    made.add_argument("--folder", type=Path, default=Path("runs/experiments"), help="where the runs are")
    made.add_argument("--results", type=Path, default=Path("docs/results"), help="where CSV, tables and figures go")
    made.add_argument("--report", action="store_true", help="train nothing, only report")
    made.add_argument("--time", action="store_true", help="train nothing, measure step times and report")
    made.add_argument("--background", action="store_true", help="detach from the terminal")
    return made


def report(runs: Sequence[Run], folder: Path) -> None:
    """CSV, tables and figure of every data set with results; lines of earlier machines stay unless run again."""
    texts = ["# Experiments", "", *INTRODUCTION, ""]
    for dataset in DATASETS:
        path = folder / f"{dataset}.csv"
        results = {(r.row, r.seed): r for r in (read_csv(path) if path.exists() else [])}
        for run in runs:
            result = result_of(run) if run.dataset == dataset else None
            if result is not None:
                results[result.row, result.seed] = result
        if not results:
            continue
        order = {name: number for number, name in enumerate(ROW_NAMES)}
        kept = sorted((r for r in results.values() if r.row in order), key=lambda r: (order[r.row], r.seed))
        write_csv(path, kept)
        summary = summaries(kept, times.read(folder / f"{dataset}-times.json"))
        draw(folder / f"{dataset}.png", dataset, summary)
        texts += [as_markdown(dataset, summary, COMMAND), f"![Accuracy against time saved]({dataset}.png)", ""]
    (folder / "README.md").write_text("\n".join(texts))
    print(f"written to {folder}")


def detach(folder: Path, arguments: Sequence[str]) -> None:
    """Start the same command without `--background`, apart from this terminal."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer.experiments", *(a for a in arguments if a != "--background")],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    print(f"running as process {process.pid}, log {log}; `kill {process.pid}` stops it, the same command goes on")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(given)
    if options.jobs < 1:
        raise PeelVitError(f"--jobs is {options.jobs}; give 1 or more")
    if options.background:
        detach(options.folder, given)
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows = rows_named(options.rows)
    runs = plan(options.folder, options.datasets, rows, options.seeds)
    failed: list[Run] = []
    options.results.mkdir(parents=True, exist_ok=True)
    try:
        if options.time:
            times.measure(options.datasets, rows, options.results)
        elif not options.report:
            failed = train_all(runs, options.jobs)
    finally:
        report(runs, options.results)
    if failed:
        raise PeelVitError(f"{len(failed)} of {len(runs)} runs failed, the first {failed[0].folder}; see its log.txt")
    return 0


if __name__ == "__main__":
    run_main(main)
