"""The cocotb benches on the shell, and that they catch what is planted in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from unittest import mock

import pytest

from hls.spec.config import load
from sim.rtl.bench import coverage
from sim.rtl.bench.__main__ import KERNELS, main, run
from sim.rtl.bench.run import build
from sim.rtl.mutations import BY_NAME, MUTATIONS, caught_by, mutated
from sim.rtl.shell.watched import BINS, PORTS

CONFIG = load("toy")
QUICK = {
    "registers": "",
    "traffic": r"lengths|boundaries/base=0|byte_strobes|waiting/pattern=(0|16)$|port=2|each_port|after=40/pattern=1",
    "programs": r"equals_golden/case=[01]|error_responses/case=1|outside|never",
}
"""Tests of each module that the unmarked suite runs; `make rtl` runs all."""


@pytest.mark.parametrize("module", KERNELS)
def test_the_shell_passes(module: str) -> None:
    report = run(CONFIG, build(CONFIG), [module], QUICK[module] or None)
    assert report["tests"] > 0
    assert report["faults"] == {}
    for line in report["cycles"]:
        assert line["measured"] >= line["modelled"] > 0


@pytest.mark.slow
def test_all_benches_pass_and_cover_everything(tmp_path: Path) -> None:
    with mock.patch.object(sys, "argv", ["bench", "--report", str(tmp_path / "rtl.json")]):
        main()
    report = json.loads((tmp_path / "rtl.json").read_text())
    assert report["holes"] == []
    assert len(report["cycles"]) == 4


def test_every_fault_has_its_place_in_the_shell() -> None:
    assert len(MUTATIONS) >= 10
    for mutation in MUTATIONS:
        assert mutated(CONFIG, mutation)[mutation.file].count(mutation.new) >= 1


@pytest.mark.parametrize("name", ["wlast_dropped", "window_offset"])
def test_planted_faults_are_caught(name: str) -> None:
    assert caught_by(CONFIG, BY_NAME[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(BY_NAME) - {"wlast_dropped", "window_offset"}))
def test_all_planted_faults_are_caught(name: str) -> None:
    assert caught_by(CONFIG, BY_NAME[name])


def test_coverage_adds_up_and_names_its_holes(tmp_path: Path) -> None:
    counts = [[port + 1] * len(BINS) for port in range(PORTS)]
    counts[1][3] = 0
    for module in ("one", "two"):
        (tmp_path / f"coverage.{module}.json").write_text(json.dumps(counts))
    total = coverage.collected(tmp_path, ["one", "two", "none"])
    assert total[2][0] == 6
    assert coverage.holes(total) == [f"port 1: {BINS[3].text}"]
    assert coverage.table(total).count("\n") == len(BINS)
    assert coverage.as_json(total)[BINS[3].name] == [2, 0, *(2 * (port + 1) for port in range(2, PORTS))]
