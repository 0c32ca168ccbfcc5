"""``python -m vitis_project hw|hls|cosim|bd|bit|reports|render [--config zcu102] [--board B] [--clock MHZ]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from host.errors import run_main
from vitis_project.project import COSIM_CASES, STRATEGIES, Project, make, write
from vitis_project.reports.baseline import read_results, write_baseline
from vitis_project.stages import STAGES, TO_BITSTREAM, run
from vitis_project.tools import detect


def main() -> None:
    """Command line."""
    options = _parser().parse_args()
    # The tools come first: without them nothing is rendered, and the sentence says what to install.
    version = options.tool if options.verb == "render" else detect(options.tool).version
    project = make(
        options.config, options.board, version, options.clock, options.strategies, tuple(options.cosim_cases)
    )
    files = project.files()
    folder = options.out or project.folder
    write(folder, files)
    if options.verb == "render":
        print(folder)
        return
    clock = project.config.clock_mhz
    print(f"configuration {project.config.name}, board {project.board.name}, {clock} MHz, tools {version}")
    for stage in TO_BITSTREAM if options.verb == "hw" else (options.verb,):
        run(project, files, stage, again=options.again and stage == options.verb)
        _report(project)


def _report(project: Project) -> None:
    """Keep what the tools have reported so far as this version's baseline."""
    results = read_results(project.folder, project.solution)
    if results:
        print(f"baseline: {write_baseline(project, results)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vitis_project", description="From configuration to bitstream.")
    parser.add_argument("verb", choices=["hw", *STAGES, "render"])
    parser.add_argument("--config", default="zcu102", help="hardware configuration, shipped or a JSON file")
    parser.add_argument("--board", default="", help="board (the one with the configuration's part)")
    parser.add_argument("--tool", default="", help="version of the tools (the installed one; render: 2021.1)")
    parser.add_argument("--clock", type=int, default=0, metavar="MHZ", help="clock (the configuration's)")
    parser.add_argument("--strategies", choices=STRATEGIES, default="default", help="implementation strategies to try")
    parser.add_argument("--cosim-cases", nargs="+", default=COSIM_CASES, metavar="CASE", help="cases of the test bench")
    parser.add_argument("--again", action="store_true", help="run the stage although it is up to date")
    parser.add_argument("--out", type=Path, help="render: folder to write to")
    return parser


if __name__ == "__main__":
    run_main(main)
