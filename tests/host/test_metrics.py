"""The run log: a resumed run leaves the files of an undisturbed one, apart from timing.csv."""

from __future__ import annotations

import csv
import io
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.board_files import LocalFiles
from host.errors import CheckpointError
from host.metrics import RunLog, StepResult, StepTable
from host.power.meter import Energy, PowerMeter
from host.power.rails import Rail

STEPS_PER_EPOCH = 5
TOTAL = 20


def open_log(folder: Path, **arguments: Any) -> RunLog:
    ticks = itertools.count()
    return RunLog(folder, TOTAL, log_interval=3, stream=io.StringIO(), clock=lambda: 2.0 * next(ticks), **arguments)


def train(log: RunLog, steps: range) -> None:
    for step in steps:
        random = np.random.default_rng(step)
        log.end_step(
            step, StepResult(float(random.random()), int(random.integers(8)), 8, int(random.integers(3)), 24.0)
        )
        if step % STEPS_PER_EPOCH == 0:
            log.end_epoch(step // STEPS_PER_EPOCH - 1, step, eval_top1=float(random.random()), lr=0.1 / step)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "timing.csv"}


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_files_of_a_run(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        train(log, range(1, TOTAL + 1))
        log.write_metrics({"test_accuracy": 71.5, "curve": log.curve("loss")})
    summary, steps = table(tmp_path / "summary.csv"), table(tmp_path / "steps.csv")
    assert list(summary[0]) == ["epoch", "step", "train_loss", "train_top1", "saturations", "eval_top1", "lr"]
    assert [row["epoch"] for row in summary] == ["0", "1", "2", "3"]
    losses = [float(np.random.default_rng(step).random()) for step in range(1, TOTAL + 1)]
    assert float(summary[1]["train_loss"]) == pytest.approx(np.mean(losses[5:10]))
    assert [int(row["step"]) for row in steps] == [3, 6, 9, 12, 15, 18, 20]
    assert float(steps[0]["loss"]) == losses[2]
    assert float(steps[0]["modelled_ms_per_image"]) == 3.0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["curve"] == [[3, 6, 9, 12, 15, 18, 20], [losses[s - 1] for s in (3, 6, 9, 12, 15, 18, 20)]]
    timing = table(tmp_path / "timing.csv")
    assert float(timing[0]["images_per_second"]) == 3 * 8 / 2.0  # steps 1 to 3
    assert float(timing[1]["images_per_second"]) == 1 * 8 / 2.0  # step 6: the epoch ended after step 5


def test_epoch_means_weigh_images(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        log.end_step(1, StepResult(loss=1.0, correct=3, images=3, saturations=2))
        log.end_step(2, StepResult(loss=5.0, correct=0, images=1, saturations=5))
        log.end_epoch(0, 2)
    assert table(tmp_path / "summary.csv") == [
        {"epoch": "0", "step": "2", "train_loss": "2.0", "train_top1": "75.0", "saturations": "7"}
    ]


@settings(deadline=None, max_examples=40)
@given(saved=st.integers(0, TOTAL), lost=st.integers(0, 6), torn=st.binary(max_size=4))
def test_resume_leaves_the_files_of_an_undisturbed_run(
    tmp_path_factory: pytest.TempPathFactory, saved: int, lost: int, torn: bytes
) -> None:
    undisturbed, resumed = tmp_path_factory.mktemp("undisturbed"), tmp_path_factory.mktemp("resumed")
    with open_log(undisturbed) as log:
        train(log, range(1, TOTAL + 1))
    log = open_log(resumed)
    train(log, range(1, saved + 1))
    state = log.state()
    train(log, range(saved + 1, min(saved + lost, TOTAL) + 1))
    log.close()
    for name in ("steps.csv", "summary.csv", "timing.csv"):  # a row that was being written at the moment of the crash
        with open(resumed / name, "ab") as file:
            file.write(torn.replace(b"\n", b""))
    with open_log(resumed, resume_step=saved, resume_epoch=saved // STEPS_PER_EPOCH) as log:
        log.load_state(state)
        train(log, range(saved + 1, TOTAL + 1))
    assert contents(resumed) == contents(undisturbed)
    assert [row["step"] for row in table(resumed / "timing.csv")] == [
        row["step"] for row in table(undisturbed / "timing.csv")
    ]


def test_an_epoch_that_was_not_closed_is_closed_once(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    train(log, range(1, STEPS_PER_EPOCH + 1))  # the checkpoint is from before the end of the epoch, the crash after it
    log.close()
    with open_log(tmp_path, resume_step=STEPS_PER_EPOCH, resume_epoch=0) as log:
        log.end_epoch(0, STEPS_PER_EPOCH, eval_top1=0.5, lr=0.02)
    assert [row["eval_top1"] for row in table(tmp_path / "summary.csv")] == ["0.5"]


def test_a_run_that_ended_early_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    short = RunLog(tmp_path, 4, log_interval=3, stream=io.StringIO())
    train(short, range(1, 5))
    short.close()
    assert [row["step"] for row in table(tmp_path / "steps.csv")] == ["3", "4"]
    with open_log(tmp_path, resume_step=4) as log:
        train(log, range(5, 7))
        assert log.curve("step") == ([3, 6], [3.0, 6.0])


def test_no_progress(tmp_path: Path) -> None:
    stream = io.StringIO()
    with RunLog(tmp_path, 1, progress=False, stream=stream) as log:
        log.end_step(1, StepResult(loss=1.0, correct=1, images=4))
        log.message("a line")
    assert stream.getvalue() == ""


def test_evaluation_is_no_training_time(tmp_path: Path) -> None:
    now = [0.0]
    with RunLog(tmp_path, 2, log_interval=2, stream=io.StringIO(), clock=lambda: now[0]) as log:
        now[0] = 1.0
        log.end_step(1, StepResult(loss=1.0, correct=1, images=4))
        now[0] = 100.0
        log.end_epoch(0, 1)
        now[0] = 102.0
        log.end_step(2, StepResult(loss=1.0, correct=1, images=4))
    unmeasured = {"joules_per_image": "", "watts": "", "idle_watts": ""}
    assert table(tmp_path / "timing.csv") == [{"step": "2", "seconds": "2.0", "images_per_second": "2.0"} | unmeasured]


class Meter(PowerMeter):
    """Ten joules a second above an idle watt, on one rail; the clock is the log's."""

    def __init__(self, now: list[float], known: bool = True) -> None:
        super().__init__(LocalFiles(), [Rail("u79", "VCCINT", "", "")], period=None)
        self._now, self._known, self._before = now, known, 0.0

    def take(self) -> Energy | None:
        seconds, self._before = self._now[0] - self._before, self._now[0]
        return Energy(seconds, {"VCCINT": 11.0 * seconds}, 1.0) if self._known and seconds else None


def run_with_meter(folder: Path, known: bool) -> tuple[str, dict[str, float]]:
    """Two steps of four images in two seconds each, and an evaluation of a hundred seconds between them."""
    now, stream = [0.0], io.StringIO()
    meter = Meter(now, known)
    with RunLog(folder, 2, log_interval=1, stream=stream, clock=lambda: now[0], power=meter) as log:
        now[0] = 2.0
        log.end_step(1, StepResult(loss=1.0, correct=1, images=4))
        now[0] = 102.0
        log.end_epoch(0, 1)
        now[0] = 104.0
        log.end_step(2, StepResult(loss=1.0, correct=1, images=4))
        return stream.getvalue(), log.timing()


def test_energy_of_an_image(tmp_path: Path) -> None:
    shown, timing = run_with_meter(tmp_path, known=True)
    assert shown.count("5.000 J/image") == 2
    assert timing["joules_per_image"] == 5.0
    energy = [(row["joules_per_image"], row["watts"], row["idle_watts"]) for row in table(tmp_path / "timing.csv")]
    assert energy == [("5.0", "11.0", "1.0")] * 2
    assert [(row["VCCINT"], row["VCCAUX"]) for row in table(tmp_path / "power.csv")] == [("11.0", "")] * 2


def test_energy_that_is_not_known_is_absent_not_zero(tmp_path: Path) -> None:
    shown, timing = run_with_meter(tmp_path, known=False)
    assert "J/image" not in shown
    assert "joules_per_image" not in timing
    assert {row["joules_per_image"] for row in table(tmp_path / "timing.csv")} == {""}
    assert table(tmp_path / "power.csv") == []


def test_a_timing_table_without_energy_is_continued(tmp_path: Path) -> None:
    (tmp_path / "timing.csv").write_text("step,seconds,images_per_second\n3,2.0,12.0\n")
    with open_log(tmp_path, resume_step=3) as log:
        train(log, range(4, TOTAL + 1))
        assert "joules_per_image" not in log.timing()
    assert [row["joules_per_image"] for row in table(tmp_path / "timing.csv")] == [""] * 7


def test_a_fresh_run_starts_empty(tmp_path: Path) -> None:
    for _ in range(2):
        with open_log(tmp_path) as log:
            train(log, range(1, 6))
    assert len(table(tmp_path / "steps.csv")) == 1
    assert len(table(tmp_path / "summary.csv")) == 1


def test_columns_may_not_change(tmp_path: Path) -> None:
    steps = StepTable(tmp_path / "t.csv", lambda row: True)
    steps.append({"step": 1, "loss": 0.1})
    with pytest.raises(ValueError, match="columns"):
        steps.append({"step": 2, "top1": 0.1})
    steps.close()
    steps.close()


def test_plain_lines_when_stderr_is_no_terminal(tmp_path: Path) -> None:
    stream = io.StringIO()
    with RunLog(tmp_path, 2, log_interval=1, stream=stream, clock=itertools.count().__next__) as log:
        log.message("calibrating")
        log.end_step(1, StepResult(loss=2.25, correct=1, images=4, saturations=7, modelled_ms=20.0))
    assert stream.getvalue() == (
        "calibrating\nstep 1/2  loss 2.2500  top1 25.0 %  4.0 images/s  modelled 5.00 ms/image  saturations 7\n"
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal(tmp_path: Path) -> None:
    pytest.importorskip("tqdm")
    stream = Terminal()
    with RunLog(tmp_path, 4, log_interval=1, resume_step=2, stream=stream) as log:
        log.end_step(3, StepResult(loss=2.25, correct=1, images=4))
        log.message("saved")
        log.end_step(4, StepResult(loss=1.25, correct=1, images=4))
    assert "4/4" in stream.getvalue()
    assert "loss 1.2500" in stream.getvalue()
    assert "saved\n" in stream.getvalue()


def test_plain_lines_without_tqdm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    stream = Terminal()
    with RunLog(tmp_path, 1, stream=stream) as log:
        log.end_step(1, StepResult(loss=2.25, correct=1, images=4))
    assert stream.getvalue().startswith("step 1/1  loss 2.2500")


def test_state_that_lacks_something_is_refused(tmp_path: Path) -> None:
    with open_log(tmp_path) as log, pytest.raises(CheckpointError, match="lacks 'loss'"):
        log.load_state({})
