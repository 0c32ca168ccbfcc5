"""Yosys's counts of the leaf datapaths in the estimate, and the report that both are written into."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hls.area import leaves, report
from hls.area.__main__ import main
from hls.area.estimate import estimate
from hls.spec.config import load


def row(lut: int, estimated: int) -> dict[str, object]:
    return {"lut": lut, "estimated": {"lut": estimated}}


COUNTS = {
    "exponential": row(60, 100),
    "epilogue": row(300, 400),
    "gelu_value": row(50, 80),
    "gelu_slope": row(40, 20),
}


def test_scales_are_counts_over_estimates() -> None:
    found = leaves.scales(COUNTS)
    assert found["exponential"] == 0.6
    assert found["finished_element"] == pytest.approx((300 - 50 - 40) / (400 - 80 - 20))  # less what is scaled itself
    assert "rsqrt" not in found  # not counted


def test_every_function_has_its_counts_in_the_report_that_is_kept() -> None:
    assert leaves.scales(report.read(leaves.KEPT)["leaves"]).keys() == leaves.FUNCTIONS.keys()


def test_functions_are_those_of_the_kernels() -> None:
    rendered = "".join(path.read_text() for path in Path("hls").rglob("*.hpp*"))
    assert [name for name in leaves.FUNCTIONS if f" {name}(" not in rendered] == []


def test_a_newer_report_of_make_leaf_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, kept = tmp_path / "made.json", tmp_path / "kept.json"
    monkeypatch.setattr(leaves, "REPORT", made)
    monkeypatch.setattr(leaves, "KEPT", kept)
    report.update(kept, {"leaves": COUNTS})
    assert leaves.counted() == COUNTS
    report.update(made, {"estimates": {}})
    os.utime(kept, (1, 1))
    assert leaves.counted() == COUNTS
    report.update(made, {"leaves": {"exponential": row(1, 2)}})
    assert leaves.counted() == COUNTS | {"exponential": row(1, 2)}
    os.utime(made, (0, 0))
    assert leaves.counted() == COUNTS


def test_each_command_keeps_the_parts_of_the_other(tmp_path: Path) -> None:
    path = tmp_path / "area.json"
    report.update(path, {"estimates": {"toy": 1}})
    report.update(path, {"leaves": COUNTS})
    report.update(path, {"estimates": {"zcu102": 2}})
    assert report.read(path) == {"estimates": {"toy": 1, "zcu102": 2}, "leaves": COUNTS}


def test_the_command_writes_the_estimate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "area.json"
    code = main(["toy", "--depth", "0", "--report", str(path)])
    capsys.readouterr()
    found = json.loads(path.read_text())["estimates"]["toy"]
    assert found["fits"] == (code == 0)
    assert found["dsp"]["limit"] == 2520
    assert found["lut"]["used"] == pytest.approx(estimate(load("toy")).total.lut, abs=0.1)
    assert found["modules"][0]["name"] == "peelvit_top"
