"""Readers of the tools' reports, on files written by hand in their documented format, not results of the tools."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host.errors import PeelVitError
from sim.perf.synthesis import read_report
from vitis_project.project import make
from vitis_project.reports.baseline import read_results, write_baseline
from vitis_project.reports.hls import read_cosim, read_csynth
from vitis_project.reports.vivado import read_power, read_timing, read_utilisation

HERE = Path(__file__).parent
CSYNTH = HERE.parents[1] / "sim" / "perf" / "csynth.xml"


def test_synthesis() -> None:
    found = read_csynth(CSYNTH)
    assert (found["version"], found["target_ns"], found["estimated_ns"]) == ("2021.1", 6.67, 4.87)
    assert found["resources"] == {"BRAM_18K": 1500.0, "DSP": 2211.0, "FF": 210000.0, "LUT": 190000.0, "URAM": 0.0}
    assert found["available"]["DSP"] == 2520
    assert len(found["loops"]) == 3


def test_cosimulation() -> None:
    found = read_cosim(HERE / "cosim.rpt")
    assert found == {"language": "Verilog", "status": "Pass", "least": 1204.0, "average": 15377.0, "most": 48211.0}


def test_utilisation() -> None:
    found = read_utilisation(HERE / "utilization.rpt")
    assert found == {
        "lut": {"used": 181_204.0, "available": 274_080.0},
        "ff": {"used": 240_112.0, "available": 548_160.0},
        "bram36": {"used": 755.5, "available": 912.0},
        "dsp": {"used": 2214.0, "available": 2520.0},
        "uram": {"used": 0.0, "available": 0.0},
    }


def test_utilisation_of_newer_versions_has_a_column_more(tmp_path: Path) -> None:
    text = (HERE / "utilization.rpt").read_text()
    lines = []
    for line in text.splitlines():
        cells = line.split("|")
        if len(cells) == 7:
            cells.insert(4, " Prohibited " if "Site Type" in line else " 0 ")
        lines.append("|".join(cells))
    path = tmp_path / "utilization.rpt"
    path.write_text("\n".join(lines))
    assert read_utilisation(path) == read_utilisation(HERE / "utilization.rpt")


@pytest.mark.parametrize(
    "wns, whs, met", [("0.112", "0.010", True), ("-0.307", "0.010", False), ("0.112", "-0.004", False)]
)
def test_timing(tmp_path: Path, wns: str, whs: str, met: bool) -> None:
    path = tmp_path / "timing.rpt"
    path.write_text((HERE / "timing.rpt").read_text().replace("0.112", wns).replace("0.010", whs))
    found = read_timing(path)
    assert (found["wns"], found["whs"], found["met"]) == (float(wns), float(whs), met)


def test_power() -> None:
    assert read_power(HERE / "power.rpt") == {
        "total_w": 11.382, "dynamic_w": 10.514, "static_w": 0.868, "junction_c": 36.1, "confidence": "Low"
    }  # fmt: skip


@pytest.mark.parametrize(
    "reader, sentence",
    [
        (read_cosim, "no line for a simulated language"),
        (read_utilisation, "no utilisation report of an UltraScale"),
        (read_timing, "no design timing summary"),
        (read_power, "no Total On-Chip Power"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, reader: Callable[[Path], Any], sentence: str) -> None:
    path = tmp_path / "x.rpt"
    with pytest.raises(PeelVitError, match="run the stage that writes it again"):
        reader(path)
    path.write_text("| a | b |\nhello\n")
    with pytest.raises(PeelVitError, match=sentence):
        reader(path)


def test_an_unconstrained_design_has_no_slacks(tmp_path: Path) -> None:
    path = tmp_path / "timing.rpt"
    path.write_text((HERE / "timing.rpt").read_text().replace("0.112", "NA").replace("0.000", "NA"))
    with pytest.raises(PeelVitError, match="no slacks"):
        read_timing(path)


def test_a_baseline_holds_every_report_that_is_there(tmp_path: Path) -> None:
    project = make("toy")
    folder = tmp_path / "project"
    assert read_results(folder, project.solution) == {}
    for source, place in (
        (CSYNTH, "hls/solution/syn/report/csynth.xml"),
        (HERE / "cosim.rpt", "hls/solution/sim/report/peelvit_top_cosim.rpt"),
        (HERE / "utilization.rpt", "reports/utilization.rpt"),
        (HERE / "timing.rpt", "reports/timing.rpt"),
        (HERE / "power.rpt", "reports/power.rpt"),
    ):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / place)
    path = write_baseline(project, read_results(folder, project.solution), tmp_path / "baselines")
    assert path == tmp_path / "baselines" / "2021.1" / "toy.json"
    content = json.loads(path.read_text())
    assert set(content) >= {"synthesis", "cosimulation", "utilisation", "timing", "power", "hash", "revision", "tool"}
    assert read_report(path) == read_report(CSYNTH)
