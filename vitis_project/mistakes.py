"""Plant mistakes in the rendered scripts, one at a time, and see that each is caught.

    python -m vitis_project.mistakes [--list] [NAME...]

Ends with exit code 1 when a mistake passes, when it is caught for another reason than its own, or when it cannot be
planted any more because the scripts changed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from host.errors import PeelVitError, run_main
from vitis_project.check.bench import run_bench
from vitis_project.check.interface import check_component
from vitis_project.check.scripts import RefusedError, run_script, run_scripts
from vitis_project.check.system import check_results
from vitis_project.planted import FLIP, MISTAKES, PROJECTS, Mistake
from vitis_project.project import Project, make, write


def plant(folder: Path, mistake: Mistake) -> None:
    """Change the file; `PeelVitError` when what is to be changed is not there once."""
    path = folder / mistake.file
    if mistake.old == FLIP:
        data = bytearray(path.read_bytes())
        data[-1] ^= 0xFF
        path.write_bytes(data)
        return
    text = path.read_text()
    if text.count(mistake.old) != 1:
        raise PeelVitError(
            f"the mistake {mistake.name} cannot be planted: {mistake.file} has its place {text.count(mistake.old)} "
            "times; adapt vitis_project/planted.py to the template"
        )
    path.write_text(text.replace(mistake.old, mistake.new))


def sentence(project: Project, folder: Path, mistake: Mistake) -> str:
    """What the checks say about a folder with a mistake; empty when they say nothing."""
    version = project.tool.version
    try:
        if mistake.file.endswith((".tcl", ".cfg")):
            for left in ("output", "reports"):  # of the run without the mistake
                shutil.rmtree(folder / left, ignore_errors=True)
            # Vivado's scripts start from a new project, and what one leaves undone may show in the next.
            first = project.scripts.index("design.tcl")
            if mistake.file in project.scripts:
                first = min(first, project.scripts.index(mistake.file))
            records = {
                script: run_script(folder, script, version, mistake.settings) for script in project.scripts[first:]
            }
            check_results(project, folder, records["design.tcl"])
            return ""
        record = run_script(folder, project.scripts[0], version)
        if mistake.file.startswith("src/"):
            return "; ".join(check_component(folder / project.solution / "impl/ip/component.xml"))
        run_bench(folder, record, "csim", "native")
    except (RefusedError, PeelVitError) as error:
        return str(error)
    return ""


def caught(base: Path, project: Project, mistake: Mistake) -> tuple[bool, str]:
    """Whether a mistake is caught for its own reason in a copy of a checked folder, and what was said."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        shutil.copytree(base, folder)
        plant(folder, mistake)
        said = sentence(project, folder, mistake)
    return mistake.caught in said, said


def run_mistakes(mistakes: tuple[Mistake, ...], scratch: Path) -> list[str]:
    """Plant each mistake; the names of those that were not caught. Prints a line each."""
    bases: dict[str, tuple[Path, Project]] = {}
    missed = []
    for mistake in mistakes:
        if mistake.project not in bases:
            project = make(**PROJECTS[mistake.project])  # type: ignore[arg-type]
            base = scratch / mistake.project
            # Only the plain project's test bench runs.
            write(base, project.files(golden=mistake.project == "plain"))
            run_scripts(project, base)
            bases[mistake.project] = (base, project)
        good, said = caught(*bases[mistake.project], mistake)
        print(f"{'caught' if good else 'MISSED'}  {mistake.name:44} {mistake.file:18} {said or 'nothing was said'}")
        if not good:
            missed.append(mistake.name)
    return missed


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m vitis_project.mistakes", description="Plant mistakes; each is caught."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="mistakes to plant (all of them)")
    parser.add_argument("--list", action="store_true", help="name the mistakes and end")
    options = parser.parse_args()
    unknown = set(options.names) - {mistake.name for mistake in MISTAKES}
    if unknown:
        raise PeelVitError(f"there are no mistakes {', '.join(sorted(unknown))}; --list names them")
    chosen = tuple(m for m in MISTAKES if not options.names or m.name in options.names)
    if options.list:
        print("\n".join(f"{mistake.name}: {mistake.file}" for mistake in chosen))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        missed = run_mistakes(chosen, Path(scratch))
    print(f"{len(chosen) - len(missed)} of {len(chosen)} planted mistakes caught")
    if missed:
        print(f"not caught: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    run_main(main)
