"""The scripts under tclsh, planted mistakes, registers; and the test bench as csim_design would run it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hls.spec import system
from hls.spec.config import load
from hls.spec.registers import REGISTERS
from host.errors import PeelVitError
from vitis_project.boards import BOARDS
from vitis_project.check.__main__ import check_project, projects, shipped
from vitis_project.check.bench import BUILDS, run_bench
from vitis_project.check.config_file import ConfigFileError, as_tcl, read
from vitis_project.check.interface import check_component, check_handoff, check_virtual_board, expected
from vitis_project.check.scripts import RefusedError, run_script, run_scripts
from vitis_project.mistakes import caught, plant
from vitis_project.planted import MISTAKES, PROJECTS, Mistake
from vitis_project.project import CASES, Project, make, write

Checked = Callable[[str], tuple[Path, Project]]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """A rendered project whose scripts have run, by its name in `PROJECTS`."""
    made: dict[str, tuple[Path, Project]] = {}

    def get(name: str) -> tuple[Path, Project]:
        if name not in made:
            project = make(**PROJECTS[name])  # type: ignore[arg-type]
            folder = tmp_path_factory.mktemp(name)
            write(folder, project.files(golden=name == "plain"))  # the one whose test bench runs
            run_scripts(project, folder)
            made[name] = (folder, project)
        return made[name]

    return get


@pytest.mark.parametrize(
    "config, board, version, clock",
    [("toy", "zcu102", "2021.1", 300), ("zcu104", "zcu104", "2022.2", 150), ("kv260", "kv260", "2023.2", 200),
     ("zcu102", "zcu102", "2024.2", 150)],
)  # fmt: skip
def test_scripts_of_a_project(tmp_path: Path, config: str, board: str, version: str, clock: int) -> None:
    check_project(make(config, board, version, clock, "all"), tmp_path)


def test_all_boards_tools_and_clocks_are_checked() -> None:
    found = list(projects(shipped()))
    assert {project.board.name for project in found} == set(BOARDS)
    assert {project.config.name for project in found} >= set(shipped())
    assert len({project.folder for project in found}) == len(found) == (len(BOARDS) + len(shipped()) - 1) * 4 * 3


@pytest.mark.parametrize(
    "mistake", [mistake for mistake in MISTAKES if not mistake.file.startswith("tb/")], ids=lambda mistake: mistake.name
)
def test_planted_mistakes_are_caught(mistake: Mistake, checked: Checked) -> None:
    base, project = checked(mistake.project)
    good, said = caught(base, project, mistake)
    assert good, said


def test_at_least_fifteen_mistakes_of_different_kinds() -> None:
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) >= 15
    assert len({mistake.file for mistake in MISTAKES}) >= 5


def test_a_mistake_without_its_place_is_an_error(checked: Checked, tmp_path: Path) -> None:
    (tmp_path / "hls.tcl").write_text("exit 0\n")
    with pytest.raises(PeelVitError, match="cannot be planted"):
        plant(tmp_path, Mistake("x", "hls.tcl", "csynth_design", "", ""))


@pytest.mark.parametrize("build", BUILDS)
def test_the_test_bench_passes_as_csim_and_as_cosim(build: str, tmp_path: Path) -> None:
    project = make("toy", cosim_cases=CASES)
    write(tmp_path, project.files())
    records = run_scripts(project, tmp_path)
    for script, kind in (("hls.tcl", "csim"), ("cosim.tcl", "cosim")):
        printed = run_bench(tmp_path, records[script], kind, build)
        assert [f"{case}: PASS" in printed for case in CASES] == [True] * 3


def test_the_test_bench_fails_on_another_value(checked: Checked) -> None:
    base, project = checked("plain")
    (mistake,) = (mistake for mistake in MISTAKES if mistake.file.startswith("tb/"))
    good, said = caught(base, project, mistake)
    assert good, said


def test_the_file_list_is_complete_in_a_fresh_folder(checked: Checked, tmp_path: Path) -> None:
    base, _ = checked("plain")
    shutil.copytree(base, tmp_path / "copy")
    (tmp_path / "copy" / "src" / "gemm" / "job.hpp").unlink()
    record = run_script(tmp_path / "copy", "hls.tcl", "2021.1")
    with pytest.raises(RefusedError, match="does not compile"):
        run_bench(tmp_path / "copy", record, "csim", "native")


@pytest.mark.parametrize(
    "script, sentence",
    [
        ("cosim.tcl", "there is nothing to co-simulate yet; run `make hls` first"),
        ("design.tcl", "there is no IP of the accelerator yet; run `make hls` first"),
        ("bit.tcl", "there is no Vivado project yet; run `make bd` first"),
        ("reports.tcl", "there is no Vivado project yet; run `make bit` first"),
    ],
)
def test_a_stage_before_its_time_is_a_sentence(tmp_path: Path, script: str, sentence: str) -> None:
    write(tmp_path, make("toy").files(golden=False))
    with pytest.raises(RefusedError, match=f"PEELVIT: {sentence}"):
        run_script(tmp_path, script, "2021.1")


def test_a_script_must_end(checked: Checked, tmp_path: Path) -> None:
    base, _ = checked("plain")
    shutil.copytree(base, tmp_path / "copy")
    script = tmp_path / "copy" / "hls.tcl"
    script.write_text(script.read_text().replace("exit 0\n", ""))
    with pytest.raises(RefusedError, match="does not end with exit"):
        run_script(tmp_path / "copy", "hls.tcl", "2021.1")


def test_a_catch_does_not_hide_a_mistake(checked: Checked, tmp_path: Path) -> None:
    base, _ = checked("plain")
    shutil.copytree(base, tmp_path / "copy")
    script = tmp_path / "copy" / "design.tcl"
    script.write_text(script.read_text().replace("validate_bd_design", "catch {save_bd_design -x}"))
    with pytest.raises(RefusedError, match="no option -x"):
        run_script(tmp_path / "copy", "design.tcl", "2021.1")


def test_the_block_design_has_the_system_of_the_specification(checked: Checked) -> None:
    base, project = checked("plain")
    record = run_script(base, "design.tcl", project.tool.version)
    addresses = {(space, segment): int(offset) for space, segment, offset, _ in record.of("address")}
    assert addresses["zynq_ultra_ps_e_0/Data", "peelvit/s_axi_control/Reg"] == 0xA000_0000
    assert len(addresses) == len(system.BLOCKS) + 2 * len(system.MEMORY_PORTS)


def test_registers_of_the_ip_are_those_of_the_map(checked: Checked, tmp_path: Path) -> None:
    base, project = checked("plain")
    path = base / project.solution / "impl/ip/component.xml"
    assert check_component(path) == []
    wanted = expected()
    assert wanted["CTRL"] == 0
    assert wanted["mem1_2"] == next(r.offset for r in REGISTERS if r.name == "mem1") + 4
    changed = tmp_path / "component.xml"
    changed.write_text(path.read_text().replace("m_axi_gmem2", "m_axi_gmem9").replace(">124<", ">120<"))
    assert check_component(changed) == [
        "the IP has register hash_low at 0x78, the register map at 0x7c",
        "the IP lacks the interface m_axi_gmem2",
    ]


def test_the_virtual_board_has_them_too(tmp_path: Path) -> None:
    assert check_virtual_board(load("toy"), tmp_path) == []
    changed = tmp_path / "changed.hwh"
    text = (tmp_path / "virtual_board.hwh").read_text()
    changed.write_text(text.replace("0xA0010000", "0xA0050000").replace('NAME="status"', 'NAME="state"'))
    assert check_handoff(changed) == [
        "the .hwh lacks register status",
        "the .hwh has register state, which the register map does not",
        "the .hwh has timer at 0xA0050000 to 0xA001FFFF, hls.spec at 0xA0010000 to 0xA001FFFF",
    ]


@pytest.mark.parametrize("text", ["no XML", None])
def test_what_is_no_ip(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "component.xml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PeelVitError, match="no IP-XACT file"):
        check_component(path)
    with pytest.raises(PeelVitError, match="no hardware handoff file"):
        check_handoff(path)


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("part=x\n[hls]\nclock\n", "line 3: clock is not of the form"),
        ("clock=1\n[hls]\n", "line 1: clock stands below"),
        ("part=x\n[hls]\nsyn.top=a\nsyn.top=b\n", "line 4: syn.top is given twice"),
        ("part=x\n[connectivity]\n", "there is no section"),
    ],
)
def test_configuration_files_that_the_tool_refuses(text: str, sentence: str) -> None:
    with pytest.raises(ConfigFileError, match=sentence):
        read(text)


def test_a_configuration_file_without_an_option(checked: Checked) -> None:
    base, _ = checked("unified")
    text = (base / "hls_config.cfg").read_text()
    assert "csynth_design" in as_tcl(text, base)
    with pytest.raises(ConfigFileError, match="the option clock is missing"):
        as_tcl(text.replace("clock=6.667ns\n", ""), base)
    with pytest.raises(ConfigFileError, match=r"folder must be \. and not /vectors"):
        as_tcl(text.replace("csim.argv=. ", "csim.argv=/vectors "), base)
