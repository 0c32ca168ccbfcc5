"""Rendering of the scripts: the same bytes each time, all that is needed, and sentences for what does not fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hls.spec import system
from hls.spec.config import load
from host.errors import PeelVitError
from vitis_project.project import CASES, make, write
from vitis_project.tools import TOOLS

REVISION = "0123456789abcdef0123456789abcdef01234567"


def test_two_processes_render_the_same_bytes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vitis_project", "render", "--config", "toy", "--out", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": "1"})
    other = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert other == make("toy").files()
    assert len(other) > 50


def test_a_commit_changes_the_provenance_alone() -> None:
    project = make("toy")
    before, after = project.files("a" * 40, False, golden=False), project.files(REVISION, False, golden=False)
    assert {name for name in before if before[name] != after[name]} == {"provenance.json", "revision.tcl"}
    assert json.loads(after["provenance.json"])["revision"] == REVISION
    assert b"set revision 0x01234567" in after["revision.tcl"]


def test_provenance_names_the_configuration_and_every_file() -> None:
    project = make("toy")
    files = project.files(REVISION, True, golden=False)
    content = json.loads(files["provenance.json"])
    assert content["hash"] == f"{load('toy').hash:016x}"
    assert content["modified"] is True
    assert set(content["sha256"]) == set(files) - {"provenance.json", "revision.tcl"}
    assert f"0x{project.config.hash % 2**32:08x}" in files["design.tcl"].decode()


@pytest.mark.parametrize("version", TOOLS)
def test_every_tool_has_its_scripts(version: str) -> None:
    files = make("toy", version=version).files(REVISION, False, golden=False)
    assert set(make("toy", version=version).scripts) <= set(files)
    assert {f"tb/{case}.bin" for case in CASES} <= set(files)
    assert ("hls_config.cfg" in files) == TOOLS[version].unified


@pytest.mark.parametrize("clock, wizard, pl_mhz", [(150, False, 150), (200, True, 100), (300, False, 300)])
def test_the_clock_comes_from_the_processor_where_its_pll_can(clock: int, wizard: bool, pl_mhz: int) -> None:
    project = make("toy", clock_mhz=clock)
    assert (project.wizard, project.pl_mhz) == (wizard, pl_mhz)
    assert ("clk_wiz" in project.files(REVISION, False, golden=False)["design.tcl"].decode()) == wizard


def test_another_clock_or_board_is_another_configuration(tmp_path: Path) -> None:
    project = make("toy", board="zcu104", clock_mhz=300)
    assert project.config.name == "toy-zcu104-300"
    assert project.config.hash != load("toy").hash
    write(tmp_path, project.files(REVISION, False, golden=False))
    assert load(tmp_path / "config.json") == project.config  # what the host compiles its programs for
    assert project.memory == system.MEMORY[:1]


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"config": "zcu103"}, "there is no hardware configuration zcu103"),
        ({"config": "alveo_u200"}, "make hw builds for boards with a Zynq UltraScale"),
        ({"board": "zcu111"}, "there is no board zcu111"),
        ({"config": "zcu102", "board": "zcu104"}, "do not fit the 1728 DSP"),
        ({"clock_mhz": 175}, "175 MHz is not offered"),
        ({"version": "2020.1"}, "there are no scripts for version 2020.1"),
        ({"strategies": "best"}, "there are no strategies best"),
        ({"cosim_cases": ("inferenc",)}, "there are no test cases"),
    ],
)
def test_what_does_not_fit_is_a_sentence(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(PeelVitError, match=sentence):
        make(**settings)  # type: ignore[arg-type]


def test_files_no_longer_rendered_go(tmp_path: Path) -> None:
    write(tmp_path, {"src/a.hpp": b"a", "src/b.hpp": b"b", "hls.tcl": b"c"})
    (tmp_path / "hls").mkdir()
    (tmp_path / "hls" / "result.xml").write_text("kept")
    write(tmp_path, {"src/a.hpp": b"a2", "hls.tcl": b"c"})
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"a.hpp", "hls.tcl", "result.xml"}
    assert (tmp_path / "src" / "a.hpp").read_bytes() == b"a2"


def test_each_memory_master_has_a_port_of_its_own() -> None:
    for name in ("argument", "segment", "index"):
        assert len({getattr(port, name) for port in system.MEMORY_PORTS}) == len(system.MEMORY_PORTS)
    segments = ("HPC0", "HPC1", "HP0", "HP1", "HP2", "HP3")  # S_AXI_GP0 and on
    assert all(segments[port.index] == port.segment for port in system.MEMORY_PORTS)
