"""Loops of a synthesis report beside those that the kernels state."""

from __future__ import annotations

from pathlib import Path

import pytest

from hls.spec.config import load
from host.errors import PeelVitError
from sim.perf.synthesis import StatedLoop, SynthesisedLoop, loop_table, read_report, stated_loops

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
        SynthesisedLoop("peelvit_top", "copy_fields", 1, 49, "8"),
        SynthesisedLoop("multiply", "outer_tiles_inner_steps", 2, 12, "192"),
    ]


def test_a_folder_of_reports(tmp_path: Path) -> None:
    (tmp_path / "top_csynth.xml").write_text(REPORT.read_text())
    (tmp_path / "multiply_csynth.xml").write_text(REPORT.read_text())
    assert len(read_report(tmp_path)) == 2 * len(read_report(REPORT))


def test_differences_are_named() -> None:
    lines = loop_table(STATED, read_report(REPORT)).splitlines()
    assert lines[1].split()[:2] == ["peelvit_top:", "copy_fields"]
    assert lines[1].split()[2:6] == ["1", "48", "1", "49"]
    assert lines[1].endswith("larger depth than stated")
    assert lines[2].endswith("larger II than stated")
    assert lines[3].startswith("1 loops")


def test_loops_of_one_label_that_differ_are_not_compared() -> None:
    line = loop_table(STATED, [SynthesisedLoop("load", "words", 1, 9, "8")]).splitlines()[1]
    assert line.split() == ["load:", "words", "1", "-", "1", "9"]


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
