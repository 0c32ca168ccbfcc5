"""A whole run with a meter: energy in its files, and the same training as without one."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from host import throughput, training
from host.board_files import LocalFiles
from host.options import Options
from host.power.meter import PowerMeter
from host.power.rails import RAILS
from host.power.start import started_meter
from tests.host.power.boards import write_all_rails

COMMON: dict[str, Any] = {
    "config": "toy",
    "model": "vit:image=8,patch=2,dim=16,depth=3,heads=2,mlp=32",
    "select_before": (2, 3),
    "batch_size": 4,
    "power": True,
}
RUN: dict[str, Any] = {
    "dataset": "digits", "train_images": 16, "eval_images": 8, "epochs": 1, "log_interval": 2, "no_progress": True,
}  # fmt: skip


@pytest.fixture(autouse=True)
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The options ask for power; the board's rails are a tree of files."""
    root = tmp_path / "board"
    root.mkdir()

    def meter(options: Options) -> PowerMeter:
        return started_meter(LocalFiles(root), options.power, idle_seconds=0.01)

    for module in (training, throughput):
        monkeypatch.setattr(module, "meter_for", meter)
    monkeypatch.setenv("PEELVIT_DATA", str(tmp_path / "data"))
    return root


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_run_with_rails_reports_its_energy(tmp_path: Path, board: Path) -> None:
    write_all_rails(board, millivolts=1000, milliamperes=100)
    training.train(Options(**COMMON, **RUN, output=tmp_path / "run"))
    timing, rails = rows(tmp_path / "run/timing.csv"), rows(tmp_path / "run/power.csv")
    assert [float(row["watts"]) for row in timing] == pytest.approx([len(RAILS) * 0.1] * len(timing))
    assert [float(row[name]) for row in rails for name in RAILS.values()] == pytest.approx([0.1] * 2 * len(RAILS))
    assert [row["step"] for row in timing] == [row["step"] for row in rails] == ["2", "4"]
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["timing"]["joules_per_image"] == pytest.approx(0.0, abs=1e-9)  # no more than the idle board takes


def test_a_run_without_rails_says_so_and_trains_the_same(
    tmp_path: Path, board: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training.train(Options(**COMMON, **RUN, output=tmp_path / "run"))
    assert "the board shows none of its INA226 monitors" in capsys.readouterr().err
    assert [row["watts"] for row in rows(tmp_path / "run/timing.csv")] == ["", ""]
    assert not (tmp_path / "run/power.csv").exists()
    write_all_rails(board)
    training.train(Options(**COMMON, **RUN, output=tmp_path / "measured"))
    for name in ("steps.csv", "summary.csv", "model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "measured" / name).read_bytes()


def test_throughput_with_rails(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_all_rails(board)
    monkeypatch.setattr(throughput, "METERED_SECONDS", 0.05)
    figures = throughput.throughput_test(Options(**COMMON, num_classes=10), None)
    assert figures["power[W]"] == pytest.approx(len(RAILS) * 0.1)
