"""Run the scripts under tclsh with a library that checks every command's arguments, order and objects."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from host.errors import PeelVitError
from vitis_project.check.config_file import ConfigFileError, as_tcl
from vitis_project.project import Project

LIBRARY = Path(__file__).with_name("run.tcl")


class RefusedError(Exception):
    """The first thing that a checking command refused, in one sentence."""


@dataclass(frozen=True)
class Record:
    """What a script did: lines of a kind and its values (common.tcl, `note`)."""

    lines: tuple[tuple[str, ...], ...]

    def of(self, kind: str) -> list[tuple[str, ...]]:
        """The values of the lines of a kind."""
        return [line[1:] for line in self.lines if line[0] == kind]


def tclsh() -> str:
    """The Tcl shell; `PeelVitError` when there is none."""
    found = shutil.which("tclsh") or shutil.which("tclsh8.6")
    if found is None:
        raise PeelVitError("checking the scripts needs tclsh; install Tcl (Debian: apt-get install tcl)")
    return found


def run_script(folder: Path, script: str, version: str, settings: Mapping[str, str] | None = None) -> Record:
    """Run one script below `folder` in place of its tool; `RefusedError` when a command refuses or the script fails.

    Args:
        settings: environment of the run: CHECK_SLACK, CHECK_HOLD, CHECK_RUN and CHECK_BOARDS (vivado.tcl).
    """
    hls = script in ("hls.tcl", "cosim.tcl", "hls_config.cfg")
    with tempfile.TemporaryDirectory() as scratch:
        path = folder / script
        if script.endswith(".cfg"):
            path = folder / "hls_config.checked.tcl"
            try:
                path.write_text(as_tcl((folder / script).read_text(), folder))
            except ConfigFileError as error:
                raise RefusedError(f"{script}: {error}") from None
        place = Path(scratch) / "record"
        command = [tclsh(), str(LIBRARY), "hls" if hls else "vivado", version, str(path), str(place)]
        result = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=folder, env={**os.environ, **(settings or {})}
        )
        if not place.is_file():
            raise RefusedError(f"{script}: the check itself failed: {result.stderr.strip()}")
        record = Record(tuple(tuple(line.split("\t")) for line in place.read_text().splitlines()))
    for (sentence,) in record.of("refused"):
        raise RefusedError(f"{script}: {sentence}")
    if record.of("exit") != [("0",)]:
        said = [line for line in result.stdout.splitlines() if line.startswith("PEELVIT:")]
        raise RefusedError(f"{script}: ends with an error: {' '.join(said) or 'no sentence'}")
    return record


def run_scripts(project: Project, folder: Path, settings: Mapping[str, str] | None = None) -> dict[str, Record]:
    """Run all scripts of a rendered project in their order; records by script."""
    return {script: run_script(folder, script, project.tool.version, settings) for script in project.scripts}
