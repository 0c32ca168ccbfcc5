"""What the tools reported of a project, a JSON file by tool version: `vitis_project/baselines/<tool>/<config>.json`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sim.perf.synthesis import BASELINES
from vitis_project.project import Project, git_revision
from vitis_project.reports.hls import read_cosim, read_csynth
from vitis_project.reports.vivado import read_power, read_timing, read_utilisation

READERS: tuple[tuple[str, str, Callable[[Path], Any]], ...] = (
    ("synthesis", "{solution}/syn/report/csynth.xml", read_csynth),
    ("cosimulation", "{solution}/sim/report/*_cosim.rpt", read_cosim),
    ("utilisation", "reports/utilization.rpt", read_utilisation),
    ("timing", "reports/timing.rpt", read_timing),
    ("power", "reports/power.rpt", read_power),
)
"""Part of the baseline, where its report lies in a project's folder, and its reader."""


def read_results(folder: Path, solution: str) -> dict[str, Any]:
    """The parts of which there is a report below `folder`; `PeelVitError` for one that cannot be read."""
    found = {}
    for part, pattern, reader in READERS:
        for path in sorted(folder.glob(pattern.format(solution=solution)))[:1]:
            found[part] = reader(path)
    return found


def write_baseline(project: Project, results: dict[str, Any], baselines: Path = BASELINES) -> Path:
    """Keep the results with what they are of; the file."""
    path = baselines / project.tool.version / f"{project.config.name}.json"
    content = {
        "configuration": project.config.name,
        "hash": f"{project.config.hash:016x}",
        "revision": git_revision()[0],
        "tool": project.tool.version,
        "board": project.board.name,
        "clock_mhz": project.config.clock_mhz,
        **results,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path
