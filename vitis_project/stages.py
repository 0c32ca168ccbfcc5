"""The stages of `make hw`: what each runs and needs, when it is up to date, and what went wrong in one sentence."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from host.errors import PeelVitError
from vitis_project.project import Project

_SENTENCE = re.compile(r"^PEELVIT: (.+)$", re.MULTILINE)
KNOWN_FAULTS = (
    (
        re.compile(r"A valid license was not found for feature '(\w+)'(?: and/or device '(\w+)')?"),
        "the licence for {0} of {1} is missing; get Vivado's Enterprise edition (or its 30-day trial) for this device "
        "in the licence manager (vlm)",
    ),
    (
        re.compile(r"set_property core_revision (\d+)"),
        "exporting the IP failed on the tool's date overflow (core_revision {0}); install AMD's patch of answer record "
        "76960, or use version 2022.1 or later",
    ),
    (re.compile(r"(No space left on device)"), "the disk is full ({0}); a build takes tens of GB"),
    (re.compile(r"(Killed|std::bad_alloc|out of memory)"), "the tool ran out of memory ({0}); 32 GB are recommended"),
)


@dataclass(frozen=True)
class Stage:
    """One step to the bitstream."""

    name: str
    needs: tuple[str, ...]
    """Stages that must have ended."""
    inputs: tuple[str, ...]
    """Rendered files, or folders of them (with a slash), that the result depends on."""
    result: str
    """What exists when it has ended, below the project's folder; `{solution}` and `{stem}` are the project's."""


STAGES = {
    stage.name: stage
    for stage in (
        Stage("hls", (), ("src/", "tb/", "hls.tcl", "hls_config.cfg"), "{solution}/impl/ip/component.xml"),
        Stage("cosim", ("hls",), ("cosim.tcl", "hls_config.cfg"), "{solution}/sim/report"),
        Stage("bd", ("hls",), ("design.tcl", "revision.tcl"), "vivado/peelvit.xpr"),
        Stage("bit", ("bd",), ("bit.tcl",), "output/{stem}.bit"),
        Stage("reports", ("bit",), ("reports.tcl",), "reports/timing.rpt"),
    )
}
TO_BITSTREAM = ("hls", "bd", "bit", "reports")
"""What `make hw` runs. Co-simulation takes hours and changes nothing: `make cosim`."""


def commands(project: Project, stage: str) -> list[list[str]]:
    """The programs that a stage starts, one after the other, in the project's folder."""
    if stage in ("hls", "cosim"):
        if not project.tool.unified:
            return [["vitis_hls", "-f", f"{stage}.tcl", "-l", f"logs/vitis_{stage}.log"]]
        config = ["--config", "hls_config.cfg", "--work_dir", "hls"]
        if stage == "cosim":
            return [["vitis-run", "--mode", "hls", "--cosim", *config]]
        return [
            ["vitis-run", "--mode", "hls", "--csim", *config],
            ["v++", "-c", "--mode", "hls", *config],
            ["vitis-run", "--mode", "hls", "--package", *config],
        ]
    script = {"bd": "design.tcl", "bit": "bit.tcl", "reports": "reports.tcl"}[stage]
    log = ["-log", f"logs/vivado_{stage}.log", "-nojournal"]
    return [["vivado", "-mode", "batch", "-notrace", *log, "-source", script]]


OPTIONS = {
    "vitis_hls": {"-f", "-l", "-i", "-p", "-n", "-nosplash"},
    "v++": {"-c", "--mode", "--config", "--work_dir", "--part", "--platform", "--freqhz"},
    "vitis-run": {"--mode", "--csim", "--cosim", "--package", "--impl", "--tcl", "--work_dir", "--config"},
    "vivado": {"-mode", "-source", "-log", "-journal", "-nolog", "-nojournal", "-notrace", "-tclargs", "-tempDir"},
}
"""Options of the programs, from UG1399, UG1702 and UG835."""


def check_commands(project: Project) -> None:
    """`PeelVitError` when a stage starts a program with an option that it does not have."""
    for stage in STAGES:
        for program, *arguments in commands(project, stage):
            unknown = {word for word in arguments if word.startswith("-")} - OPTIONS[program]
            if unknown:
                raise PeelVitError(f"stage {stage}: {program} has no option {', '.join(sorted(unknown))}")


def key(project: Project, files: dict[str, bytes], stage: str) -> str:
    """Hash of everything that a stage's result depends on, the stages before it included."""
    digest = hashlib.sha256(project.tool.version.encode())
    for before in STAGES[stage].needs:
        digest.update(key(project, files, before).encode())
    for name, data in files.items():
        if any(name == wanted or (wanted.endswith("/") and name.startswith(wanted)) for wanted in STAGES[stage].inputs):
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


def up_to_date(project: Project, files: dict[str, bytes], stage: str) -> bool:
    """Whether a stage ended with the same inputs, and its result is there."""
    stamp = _stamp(project, stage)
    return stamp.is_file() and stamp.read_text() == key(project, files, stage) and _result(project, stage).exists()


def run(project: Project, files: dict[str, bytes], stage: str, again: bool = False) -> None:
    """Run a stage and those that it needs; ended ones are left out. `PeelVitError` says what stopped it."""
    for before in STAGES[stage].needs:
        run(project, files, before)
    if not again and up_to_date(project, files, stage):
        print(f"{stage}: up to date")
        return
    _stamp(project, stage).unlink(missing_ok=True)
    log = project.folder / "logs" / f"{stage}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.is_file():
        log.rename(log.with_suffix(".previous.log"))
    started = time.monotonic()
    program = project.tool.hls_program if stage in ("hls", "cosim") else "vivado"
    print(f"{stage}: {program} {project.tool.version}, log {log}")
    with log.open("w") as output:
        for command in commands(project, stage):
            output.write(f"$ {' '.join(command)}\n")
            output.flush()
            status = subprocess.run(
                command, cwd=project.folder, stdout=output, stderr=subprocess.STDOUT, check=False, env=os.environ
            ).returncode
            if status:
                raise PeelVitError(explanation(stage, log.read_text(errors="replace"), log))
    if not _result(project, stage).exists():
        raise PeelVitError(f"stage {stage} ended without {_result(project, stage)}; its log is {log}")
    _stamp(project, stage).write_text(key(project, files, stage))
    print(f"{stage}: done in {(time.monotonic() - started) / 60:.0f} min")


def explanation(stage: str, text: str, log: Path) -> str:
    """The sentence for a log of a stage that failed: the script's own, a known fault's, or the tool's first error."""
    if said := _SENTENCE.findall(text):
        return str(said[-1])
    for pattern, sentence in KNOWN_FAULTS:
        if found := pattern.search(text):
            return sentence.format(*(group or "this device" for group in found.groups())) + f" (log: {log})"
    errors = [line.strip() for line in text.splitlines() if line.startswith("ERROR:")]
    first = f" with: {errors[0]}" if errors else ""
    return f"stage {stage} failed{first}; its log is {log}"


def _stamp(project: Project, stage: str) -> Path:
    return project.folder / f".{stage}-done"


def _result(project: Project, stage: str) -> Path:
    return project.folder / STAGES[stage].result.format(solution=project.solution, stem=project.stem)
