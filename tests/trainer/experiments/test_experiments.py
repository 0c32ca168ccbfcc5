"""The experiments: every row's command is understood, runs are resumed, figures are those of the runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from host.errors import PeelVitError
from trainer.examples.registry import example_method_names
from trainer.experiments import __main__ as program
from trainer.experiments import runs as runs_module
from trainer.experiments.report import as_markdown, draw
from trainer.experiments.results import Result, read_csv, result_of, step_macs_ratio, summaries, write_csv
from trainer.experiments.rows import DATASETS, DENSE, ROW_NAMES, ROWS, Row, command, rows_named
from trainer.experiments.runs import Run, plan, train_all
from trainer.experiments.times import is_timed, time_row
from trainer.options import parse
from trainer.tokens.registry import ATTENTION_METHODS, TOKEN_METHODS

TRAIN = """
import json, sys, pathlib
folder = pathlib.Path(sys.argv[1])
if "fail" in folder.name:
    sys.exit("error: made to fail")
(folder / "checkpoint.pt").touch()
(folder / "metrics.json").write_text(json.dumps({"resumed": "--resume" in sys.argv}))
"""


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_is_a_command_that_the_program_takes(row: Row, dataset: str, tmp_path: Path) -> None:
    options = parse(command(row, dataset, 3, tmp_path / "run"))
    assert options["seed"] == 3
    assert options["dataset"] == dataset
    assert options["initial_checkpoint"] == tmp_path / "start-3.npz"


def test_every_method_has_a_row() -> None:
    options = [row.options for row in ROWS]
    assert {o.get("token_method", "dense") for o in options} == set(TOKEN_METHODS) | {"dense"}
    assert {o.get("attention_method", "selected") for o in options} == set(ATTENTION_METHODS)
    assert {o.get("example_method", "all") for o in options} == set(example_method_names())
    assert len(set(ROW_NAMES)) == len(ROWS)


def test_rows_are_found_by_name_and_by_table() -> None:
    assert [row.name for row in rows_named(["levels", "dense"])] == [
        "dense", "trilevel_0.9", "trilevel_0.8", "trilevel_0.7"
    ]  # fmt: skip
    with pytest.raises(PeelVitError, match="no row or table nothing"):
        rows_named(["nothing"])


def test_levels_come_first_then_seed_by_seed(tmp_path: Path) -> None:
    order = plan(tmp_path, DATASETS, rows_named(["levels", "examples"]), (1, 2))
    tables = [run.row.table for run in order]
    assert tables == sorted(tables, reverse=True)
    rest = [run.seed for run in order if run.row.table != "levels"]
    assert rest == sorted(rest)


def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that finish at once."""

    def start(run: Run) -> Any:
        run.folder.mkdir(parents=True, exist_ok=True)
        resume = [argument for argument in ["--resume"] if (run.folder / "checkpoint.pt").exists()]
        with (run.folder / "log.txt").open("ab") as log:
            arguments = [sys.executable, "-c", TRAIN, str(run.folder), *resume]
            return runs_module.subprocess.Popen(arguments, stdout=log, stderr=log)

    monkeypatch.setattr(Run, "start", start)
    monkeypatch.setattr(runs_module.time, "sleep", lambda seconds: None)


def test_done_runs_are_left_alone_and_failed_ones_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch)
    bad = Row("fail", "levels", "made to fail")
    made = plan(tmp_path, ["cifar10"], [DENSE, bad], (1, 2))
    failed = train_all(made, jobs=2)
    assert sorted(run.folder.name for run in failed) == ["fail-1", "fail-2"]
    assert failed[0].last_words == "error: made to fail"
    done = [run for run in made if run.row is DENSE]
    times = [(run.folder / "metrics.json").stat().st_mtime_ns for run in done]
    assert train_all(done, jobs=1) == []
    assert [(run.folder / "metrics.json").stat().st_mtime_ns for run in done] == times


def result(row: str, seed: int, accuracy: float, seconds: float | None, images: int = 1000) -> Result:
    return Result(
        "cifar10", row, seed, accuracy, 500, images, seconds, 0.8, 'a "fast" machine, 1', "now", "python -m x"
    )


def test_summaries_by_hand(tmp_path: Path) -> None:
    results = [
        result("dense", 1, 50.0, 100.0),
        result("dense", 2, 54.0, 200.0),
        result("trilevel_0.9", 1, 51.0, 90.0, 950),
        result("trilevel_0.9", 2, 52.0, 160.0, 950),
        result("fixed16-dense", 1, 49.0, None),
    ]
    dense, sparse, fixed = summaries(results, {"dense": 1.0, "trilevel_0.9": 0.9})
    assert (dense.accuracy, dense.difference, dense.time_saved) == (52.0, None, None)
    assert dense.deviation == pytest.approx(8**0.5)
    assert sparse.difference == pytest.approx(-0.5)
    assert sparse.time_saved == pytest.approx(1 - 0.95 * 0.9)
    assert sparse.macs_saved == pytest.approx(1 - 0.95 * 0.8)
    assert sparse.images_saved == pytest.approx(0.05)
    assert (fixed.difference, fixed.time_saved, fixed.deviation) == (pytest.approx(-1.0), None, None)
    text = as_markdown("cifar10", [dense, sparse, fixed], "python -m x")
    assert "| Tri-Level/0.9 | 0.9 | 2 | 51.50 ± 0.71 | -0.50 | 14.5 % | 24.0 % | 5.0 % |" in text
    draw(tmp_path / "figure.png", "cifar10", [dense, sparse, fixed])
    assert (tmp_path / "figure.png").stat().st_size > 5000


def test_csv_round_trip(tmp_path: Path) -> None:
    results = [result("dense", 1, 50.25, None), result("trilevel_0.7", 2, 51.0, 3.5)]
    write_csv(tmp_path / "a.csv", results)
    assert read_csv(tmp_path / "a.csv") == results


def test_modelled_steps_are_those_of_the_schedule() -> None:
    options = {"model": "vit:image=32,patch=4,dim=96,depth=6,heads=3,mlp=192", "dataset": "cifar10", "epochs": 8}
    options |= {"train_images": 800, "batch_size": 64, "select_before": (2, 4, 5), "attention_keep": 1.0}
    at_once = step_macs_ratio(options | {"token_keep": 0.7, "keep_warmup": (0, 0)})
    late = step_macs_ratio(options | {"token_keep": 0.7})
    assert at_once is not None
    assert late is not None
    assert at_once < late < 1
    assert step_macs_ratio(options | {"token_keep": 1.0}) == 1
    assert step_macs_ratio(options | {"token_keep": 1.0, "curriculum": "efficienttrain++"}) is None


def test_report_keeps_the_lines_of_other_machines(tmp_path: Path) -> None:
    folder, results = tmp_path / "runs", tmp_path / "results"
    write_csv(results / "cifar10.csv", [result("dense", 1, 40.0, 10.0)])
    (run,) = plan(folder, ["cifar10"], [DENSE], (2,))
    assert result_of(run) is None
    run.folder.mkdir(parents=True)
    options = {"model": "vit:image=32,patch=4,dim=96,depth=6,heads=3,mlp=192", "dataset": "cifar10", "epochs": 8}
    options |= {"train_images": 800, "batch_size": 64, "token_keep": 1.0, "attention_keep": 1.0}
    metrics = {"test_accuracy": 42.0, "test_images": 500, "images_seen": 900, "options": options}
    (run.folder / "metrics.json").write_text(json.dumps(metrics | {"timing": {"train_cpu_seconds": 12.0}}))
    program.report([run], results)
    assert [(r.seed, r.accuracy) for r in read_csv(results / "cifar10.csv")] == [(1, 40.0), (2, 42.0)]
    assert "| Dense | - | 2 | 41.00" in (results / "README.md").read_text()


@pytest.mark.parametrize("name", ["trilevel_0.7", "tokens-dynamic_vit-0.7", "attention-longformer-0.2"])
def test_steps_of_a_row_are_timed(name: str) -> None:
    (row,) = rows_named([name])
    assert time_row(row, "fashion_mnist", rounds=1) > 0


def test_only_token_and_attention_rows_are_timed() -> None:
    assert {row.table for row in ROWS if is_timed(row)} == {"levels", "longer", "tokens", "attention"}
