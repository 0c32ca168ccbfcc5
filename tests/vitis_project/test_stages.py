"""Stages of `make hw` with stand-ins for the tools: order, resuming, logs, and a sentence for what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from host.errors import PeelVitError
from vitis_project import stages
from vitis_project.planted import PROJECTS
from vitis_project.project import Project, make, write
from vitis_project.stages import STAGES, check_commands, commands, explanation, run, up_to_date
from vitis_project.tools import TOOLS, detect, version_of

# A tool that states a version, and in a stage leaves behind what the real one would.
FAKE = """#!/bin/sh
case "$*" in *version*) echo "{name} v{version} (64-bit)"; exit 0 ;; esac
echo "$0 $*" >> calls
{fault}
mkdir -p {solution}/impl/ip {solution}/sim/report vivado output reports
touch {solution}/impl/ip/component.xml vivado/peelvit.xpr output/{stem}.bit reports/timing.rpt
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr("vitis_project.project.BUILD", tmp_path / "build")
    project = make(**PROJECTS["plain"])  # type: ignore[arg-type]
    write(project.folder, {})
    project.folder.mkdir(parents=True)
    return project


@pytest.fixture
def files() -> dict[str, bytes]:
    names = ("src/a.hpp", "tb/x.bin", "hls.tcl", "cosim.tcl", "design.tcl", "revision.tcl", "bit.tcl", "reports.tcl")
    return {name: name.encode() for name in names}


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, versions: dict[str, str], **more: str) -> None:
    """Put stand-ins of the programs on the PATH."""
    folder.mkdir(exist_ok=True)
    for name, version in versions.items():
        settings = {"fault": "", "solution": "hls/solution", "stem": "peelvit_toy"} | more
        (folder / name).write_text(FAKE.format(name=name, version=version, **settings))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def calls(project: Project) -> list[str]:
    lines = (project.folder / "calls").read_text().splitlines()
    return [Path(line.split()[0]).name + " " + line.split()[-1] for line in lines]


def test_stages_run_in_order_and_once(
    project: Project, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "bin", monkeypatch, {"vitis_hls": "2021.1", "vivado": "2021.1"})
    run(project, files, "bit")
    assert calls(project) == ["vitis_hls logs/vitis_hls.log", "vivado design.tcl", "vivado bit.tcl"]
    assert all((project.folder / "logs" / f"{stage}.log").is_file() for stage in ("hls", "bd", "bit"))
    run(project, files, "reports")
    assert calls(project)[3:] == ["vivado reports.tcl"]
    assert all(up_to_date(project, files, stage) for stage in ("hls", "bd", "bit", "reports"))
    run(project, files, "bit", again=True)
    assert calls(project)[4:] == ["vivado bit.tcl"]


@pytest.mark.parametrize(
    "changed, again",
    [
        ("src/a.hpp", ["hls", "bd", "bit"]),
        ("design.tcl", ["bd", "bit"]),
        ("revision.tcl", ["bd", "bit"]),
        ("bit.tcl", ["bit"]),
        ("reports.tcl", []),
    ],
)
def test_a_change_runs_what_depends_on_it(
    project: Project,
    files: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: str,
    again: list[str],
) -> None:
    install(tmp_path / "bin", monkeypatch, {"vitis_hls": "2021.1", "vivado": "2021.1"})
    run(project, files, "bit")
    changed_files = files | {changed: b"changed"}
    assert [stage for stage in ("hls", "bd", "bit") if not up_to_date(project, changed_files, stage)] == again


@pytest.mark.parametrize(
    "said, sentence",
    [
        ("PEELVIT: timing fails: the setup slack is -0.2 ns", "^timing fails: the setup slack is -0.2 ns$"),
        (
            "ERROR: [Common 17-345] A valid license was not found for feature 'Synthesis' and/or device 'xczu9eg'.",
            "the licence for Synthesis of xczu9eg is missing",
        ),
        ("rdi::set_property core_revision 2611222100 {component component_1}", "answer record 76960"),
        ("ERROR: [Place 30-640] Place Check : too many DSPs", r"stage bit failed with: ERROR: \[Place 30-640\]"),
        ("nothing", "stage bit failed; its log is"),
    ],
)
def test_a_fault_is_one_sentence(said: str, sentence: str, tmp_path: Path) -> None:
    text = explanation("bit", f"INFO: hello\n{said}\nINFO: bye\n", tmp_path / "bit.log")
    assert "\n" not in text
    with pytest.raises(PeelVitError, match=sentence):
        raise PeelVitError(text)


def test_a_failed_stage_runs_again(
    project: Project, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"vitis_hls": "2021.1", "vivado": "2021.1"}
    install(tmp_path / "bin", monkeypatch, versions, fault='echo "PEELVIT: no board"; exit 2')
    with pytest.raises(PeelVitError, match=r"^no board$"):
        run(project, files, "hls")
    assert not up_to_date(project, files, "hls")
    install(tmp_path / "bin", monkeypatch, versions)
    run(project, files, "hls")
    assert up_to_date(project, files, "hls")


def test_a_stage_without_a_result_is_named(
    project: Project, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "bin", monkeypatch, {"vitis_hls": "2021.1", "vivado": "2021.1"}, fault="exit 0")
    with pytest.raises(PeelVitError, match=r"stage hls ended without .*component\.xml"):
        run(project, files, "hls")


@pytest.mark.parametrize(
    "versions, wanted, sentence",
    [
        ({}, "", r"Vitis HLS \(vitis_hls or v\+\+\) and Vivado \(vivado\) not found"),
        ({"vitis_hls": "2021.1"}, "", r"^Vivado \(vivado\) not found"),
        ({"vivado": "2021.1"}, "2022.2", r"^Vitis HLS .* install AMD Vitis 2022.2"),
        ({"vitis_hls": "2021.1", "vivado": "2022.2"}, "", "Vitis HLS is 2021.1 and Vivado is 2022.2"),
        ({"vitis_hls": "2021.1", "vivado": "2021.1"}, "2023.2", "version 2021.1 is on the PATH, not 2023.2"),
        ({"vitis_hls": "2019.2", "vivado": "2019.2"}, "", "there are no scripts for version 2019.2"),
        ({"v++": "2024.2", "vivado": "2024.2"}, "", "vitis-run of Vitis 2024.2 is not on the PATH"),
        ({"v++": "2023.2", "vivado": "2023.2"}, "", "vitis_hls of Vitis 2023.2 is not on the PATH"),
    ],
)
def test_missing_tools_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, versions: dict[str, str], wanted: str, sentence: str
) -> None:
    install(tmp_path / "bin", monkeypatch, versions)
    with pytest.raises(PeelVitError, match=sentence):
        detect(wanted)


@pytest.mark.parametrize("version", TOOLS)
def test_installed_tools_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    names = ("v++", "vitis-run", "vivado") if TOOLS[version].unified else ("vitis_hls", "vivado")
    install(tmp_path / "bin", monkeypatch, dict.fromkeys(names, version))
    assert detect() == TOOLS[version]


def test_a_tool_without_a_version(tmp_path: Path) -> None:
    program = tmp_path / "vivado"
    program.write_text("#!/bin/sh\necho libtinfo.so.5 missing\n")
    program.chmod(0o755)
    with pytest.raises(PeelVitError, match="states no version"):
        version_of(program)


def test_make_hw_without_tools_stops_with_one_sentence_and_renders_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vitis_project", "hw", "--config", "toy"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"})
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: Vitis HLS")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("version", TOOLS)
def test_programs_have_the_options(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make("toy", version=version)
    check_commands(project)
    assert {command[0] for stage in STAGES for command in commands(project, stage)} >= {"vivado"}
    monkeypatch.setitem(stages.OPTIONS, "vivado", {"-mode"})
    with pytest.raises(PeelVitError, match="vivado has no option"):
        check_commands(project)
