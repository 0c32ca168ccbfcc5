"""``python -m vitis_project.check``: what `make hw-check` runs; the first fault ends it with a sentence and code 1."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from hls.spec.config import CONFIGS, load
from host.errors import run_main
from sim.workload import load_hardware
from vitis_project.boards import BOARDS, CLOCKS_MHZ
from vitis_project.check.bench import BUILDS, run_bench
from vitis_project.check.interface import check_component, check_virtual_board
from vitis_project.check.scripts import RefusedError, run_scripts, tclsh
from vitis_project.check.system import check_results
from vitis_project.mistakes import run_mistakes
from vitis_project.planted import MISTAKES
from vitis_project.project import CASES, Project, forget_vectors, git_revision, make, write
from vitis_project.stages import check_commands
from vitis_project.tools import TOOLS


def shipped() -> list[str]:
    """Names of the shipped hardware configurations that a board has the device for."""
    parts = {board.part for board in BOARDS.values()}
    return sorted(path.stem for path in CONFIGS.glob("*.json") if load(path.stem).part in parts)


def projects(configs: list[str]) -> Iterator[Project]:
    """Every configuration on its own board, and the toy on all of them, with every tool version and clock."""
    for name, version, clock in product(configs, TOOLS, CLOCKS_MHZ):
        own = [board.name for board in BOARDS.values() if board.part == load(name).part]
        for board in BOARDS if name == "toy" else own:
            yield make(name, board, version, clock, strategies="all")


def check_project(project: Project, folder: Path) -> None:
    """Scripts, registers and the timing gate of one project; `RefusedError` or `PeelVitError` names the first fault."""
    revision, dirty = git_revision()
    write(folder, project.files(revision, dirty, golden=False))
    records = run_scripts(project, folder)
    check_results(project, folder, records["design.tcl"])
    differences = check_component(folder / project.solution / "impl/ip/component.xml")
    if differences:
        raise RefusedError("; ".join(differences))
    check_commands(project)
    faults = (
        ({"CHECK_SLACK": "-0.25"}, "timing fails: the setup slack"),
        ({"CHECK_HOLD": "-0.02"}, "timing fails: the hold slack"),
        ({"CHECK_RUN": "synth_1"}, "run synth_1 stopped"),
        ({"CHECK_BOARDS": ""}, "Vivado has no board files"),
    )
    for settings, sentence in faults:
        try:
            run_scripts(project, folder, settings)
        except RefusedError as error:
            if sentence not in str(error):
                raise
        else:
            raise RefusedError(f"the scripts go on although {sentence}")


def check_config(config: str, folder: Path) -> None:
    """Registers of the virtual board, and the test bench in both builds, every case, as csim and cosim run it."""
    project = make(config, cosim_cases=CASES)
    revision, dirty = git_revision()
    files = project.files(revision, dirty)
    forget_vectors()
    if files != project.files(revision, dirty):
        raise RefusedError("rendering twice gives different bytes")
    write(folder, files)
    records = run_scripts(project, folder)
    differences = check_virtual_board(project.config, folder)
    if differences:
        raise RefusedError("; ".join(differences))
    print(f"registers of {config}: kernels, IP-XACT, .hwh and register map agree", flush=True)
    for build, (script, kind) in product(BUILDS, (("hls.tcl", "csim"), ("cosim.tcl", "cosim"))):
        printed = run_bench(folder, records[script], kind, build)
        passed = printed.count(": PASS")
        print(f"test bench of {config}, {build}, {kind}: {passed} of {len(CASES)} cases pass", flush=True)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m vitis_project.check", description="Checks without vendor tools.")
    parser.add_argument("--configs", nargs="+", default=shipped(), help="hardware configurations (all shipped ones)")
    options = parser.parse_args()
    for name in options.configs:
        load_hardware(name)
    tclsh()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            chosen = list(projects(options.configs))
            for project in chosen:
                check_project(project, Path(scratch) / project.folder.name)
                print(f"scripts of {project.folder.name} on {project.board.name}: pass", flush=True)
            for config in options.configs:
                check_config(config, Path(scratch) / f"bench-{config}")
            missed = run_mistakes(MISTAKES, Path(scratch) / "mistakes")
    except RefusedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(chosen)} projects pass ({len(BOARDS)} boards, {len(TOOLS)} tool versions, {len(CLOCKS_MHZ)} clocks)")
    print(f"{len(MISTAKES) - len(missed)} of {len(MISTAKES)} planted mistakes caught")
    return 1 if missed else 0


if __name__ == "__main__":
    run_main(main)
