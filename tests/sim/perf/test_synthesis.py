"""Loops of a synthesis report beside those that the kernels state."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from hls.spec.config import load
from host.errors import PeelVitError
from sim.perf.synthesis import (
    StatedLoop,
    SynthesisedLoop,
    difference,
    find_report,
    loop_table,
    read_report,
    stated_loops,
    title,
)

REPORT = Path(__file__).with_name("csynth.xml")
STATED = [
    StatedLoop("instruction.hpp", "copy_fields", 1, 48),
    StatedLoop("gemm/multiply.hpp", "inner_steps", 1, 12),
    StatedLoop("one.hpp", "words", 1, 4),
    StatedLoop("two.hpp", "words", 1, 8),
]


def test_loops_of_the_top_function_and_of_modules_are_read() -> None:
    assert read_report(REPORT) == [
        SynthesisedLoop("peelvit_top", "instructions", None, None, "1-2048"),
        SynthesisedLoop("peelvit_top", "copy_fields", 1, 49, "8", 56),
        SynthesisedLoop("multiply", "outer_tiles_inner_steps", 2, 12, "192"),
    ]


def test_a_folder_of_reports(tmp_path: Path) -> None:
    (tmp_path / "top_csynth.xml").write_text(REPORT.read_text())
    (tmp_path / "multiply_csynth.xml").write_text(REPORT.read_text())
    assert len(read_report(tmp_path)) == 2 * len(read_report(REPORT))


def test_differences_of_more_than_a_tenth_are_named() -> None:
    lines = loop_table(STATED, read_report(REPORT)).splitlines()
    # Eight trips: 48 + 7 stated, 56 reported. 192 trips at an interval of 2 instead of 1: 394 instead of 203.
    assert lines[1].split() == ["peelvit_top:", "copy_fields", "1", "1", "48", "49", "55", "56", "+2%"]
    assert lines[2].split()[2:] == ["1", "2", "12", "12", "203", "394", "+94%"]
    assert lines[3].startswith("1 loops")
    assert lines[4] == "over 10% from the model: multiply: outer_tiles_inner_steps (+94%)"


def test_a_baseline_gives_the_same_loops(tmp_path: Path) -> None:
    loops = read_report(REPORT)
    path = tmp_path / "toy.json"
    path.write_text(json.dumps({"synthesis": {"loops": [dataclasses.asdict(loop) for loop in loops]}}))
    assert read_report(path) == loops
    path.write_text("{}")
    with pytest.raises(PeelVitError, match="no baseline"):
        read_report(path)


def test_the_newest_tools_baseline_is_found_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load("toy")
    monkeypatch.setattr("sim.perf.synthesis.BASELINES", tmp_path)
    assert find_report(config) is None
    for version, found in (("2021.1", "0" * 16), ("2022.2", f"{config.hash:016x}")):
        (tmp_path / version).mkdir()
        content = {"revision": "0123456789abcdef", "hash": found}
        (tmp_path / version / "toy.json").write_text(json.dumps(content))
    report = find_report(config)
    assert report == tmp_path / "2022.2" / "toy.json"
    assert title(report, config) == f"{report} (revision 01234567)"
    assert "which has changed since" in title(tmp_path / "2021.1" / "toy.json", config)
    assert title(REPORT, config) == str(REPORT)
    report.write_text("{}")
    with pytest.raises(PeelVitError, match="is no baseline"):
        title(report, config)


@pytest.mark.parametrize("latency, expected", [("30 ~ 541", 541), ("undef", None), ("7", 7)])
def test_latencies_that_depend_on_data_count_at_most(tmp_path: Path, latency: str, expected: int | None) -> None:
    path = tmp_path / "csynth.xml"
    path.write_text(REPORT.read_text().replace("<Latency>56</Latency>", f"<Latency>{latency}</Latency>"))
    assert read_report(path)[1].latency == expected


@pytest.mark.parametrize(
    "pairs, expected",
    [
        ([(1, 1), (10, 12), (100, 105)], 0.05),  # cycles decide where both are known
        ([(1, 2), (10, 12), (None, None)], 1.0),
        ([(1, 1), (10, 5), (None, 90)], -0.5),
        ([(None, 1), (None, 5), (None, 90)], None),
    ],
)
def test_what_a_difference_is_taken_of(pairs: list[tuple[int | None, int | None]], expected: float | None) -> None:
    assert difference(pairs) == (pytest.approx(expected) if expected is not None else None)


def test_loops_of_one_label_that_differ_are_compared_by_interval_alone() -> None:
    line = loop_table(STATED, [SynthesisedLoop("load", "words", 1, 9, "8")]).splitlines()[1]
    assert line.split() == ["load:", "words", "1", "1", "-", "9", "-", "16", "+0%"]


@pytest.mark.parametrize("text", ["no XML", "<profile/>"])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "csynth.xml"
    path.write_text(text)
    with pytest.raises(PeelVitError, match=r"give the solution's csynth\.xml"):
        read_report(path)


def test_every_loop_of_the_kernels_states_its_interval() -> None:
    loops = stated_loops(load("toy"))
    assert len(loops) > 50
    assert all(loop.label and loop.interval for loop in loops)
    assert StatedLoop("instruction.hpp", "read_fields", 1, 48) in loops
