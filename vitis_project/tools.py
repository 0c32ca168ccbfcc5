"""The vendor's tools: which versions have scripts, what each can do, and where they are on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from host.errors import PeelVitError


@dataclass(frozen=True)
class Tool:
    """A version of Vitis HLS and Vivado."""

    version: str
    unified: bool
    """Vitis HLS is driven by `v++` and `vitis-run` and a configuration file instead of `vitis_hls` and Tcl."""

    @property
    def hls_program(self) -> str:
        """What must be on the PATH for synthesis of the kernels."""
        return "v++" if self.unified else "vitis_hls"


TOOLS = {
    t.version: t for t in (Tool("2021.1", False), Tool("2022.2", False), Tool("2023.2", False), Tool("2024.2", True))
}
REFERENCE = TOOLS["2021.1"]
_VERSION = re.compile(r"\bv?(20\d\d\.\d)\b")


def tool(version: str) -> Tool:
    """The scripts' variant for a version; `PeelVitError` for one that has none."""
    if version not in TOOLS:
        raise PeelVitError(f"there are no scripts for version {version}; the known ones are {', '.join(TOOLS)}")
    return TOOLS[version]


def find(program: str) -> Path | None:
    """A program on the PATH."""
    found = shutil.which(program)
    return Path(found) if found else None


def version_of(program: Path) -> str:
    """The version that a tool states; `PeelVitError` when it states none (a broken installation, no library)."""
    option = "--version" if program.name in ("v++", "vitis-run") else "-version"
    try:
        result = subprocess.run([program, option], capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeelVitError(f"{program} does not start ({error}); run settings64.sh of its installation again") from None
    found = _VERSION.search(result.stdout + result.stderr)
    if found is None:
        raise PeelVitError(f"{program} {option} states no version; check its installation")
    return found[1]


def detect(wanted: str = "") -> Tool:
    """The installed tools' variant; `PeelVitError` names what is missing, or what does not fit together.

    Args:
        wanted: a version that the user insists on; empty for whatever is installed.
    """
    vivado = find("vivado")
    hls = find("vitis_hls") or find("v++")
    missing = [name for name, at in (("Vitis HLS (vitis_hls or v++)", hls), ("Vivado (vivado)", vivado)) if at is None]
    if hls is None or vivado is None:
        version = wanted or REFERENCE.version
        raise PeelVitError(
            f"{' and '.join(missing)} not found on the PATH; install AMD Vitis {version} with Vivado "
            f"and run `source <installation>/Vitis/{version}/settings64.sh` (`make hw-check` needs neither)"
        )
    versions = {version_of(hls), version_of(vivado)}
    if len(versions) > 1:
        raise PeelVitError(
            f"Vitis HLS is {version_of(hls)} and Vivado is {version_of(vivado)}; source the settings of one version"
        )
    version = versions.pop()
    if wanted and version != wanted:
        raise PeelVitError(f"version {version} is on the PATH, not {wanted}; source the settings of {wanted}")
    chosen = tool(version)
    if chosen.unified and find("vitis-run") is None:
        raise PeelVitError(f"vitis-run of Vitis {version} is not on the PATH; source its settings64.sh again")
    if not chosen.unified and find("vitis_hls") is None:
        raise PeelVitError(f"vitis_hls of Vitis {version} is not on the PATH; source its settings64.sh again")
    return chosen


def jobs() -> int:
    """Parallel jobs of Vivado: JOBS of the environment, else all cores."""
    return int(os.environ.get("JOBS") or os.cpu_count() or 1)
