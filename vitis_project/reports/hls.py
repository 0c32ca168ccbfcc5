"""Reports of Vitis HLS: `csynth.xml` of the synthesis, `<top>_cosim.rpt` of the co-simulation."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from host.errors import PeelVitError
from sim.perf.synthesis import read_report
from vitis_project.reports.text import content, number, rows


def read_csynth(path: Path) -> dict[str, Any]:
    """Clock, resources and loops of a synthesis report; `PeelVitError` when it is none.

    Keys: `target_ns`, `estimated_ns`, `resources` and `available` by the tool's names (BRAM_18K counts halves of a
    BRAM36), `loops` (sim.perf.synthesis.SynthesisedLoop).
    """
    loops = [dataclasses.asdict(loop) for loop in read_report(path)]
    root = ElementTree.parse(path).getroot()
    area = {}
    for name, tag in (("resources", "Resources"), ("available", "AvailableResources")):
        element = root.find(f"AreaEstimates/{tag}")
        area[name] = {child.tag: number(child.text or "") for child in element} if element is not None else {}
    estimated = root.findtext("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod", "")
    return {
        "version": root.findtext("ReportVersion/Version", ""),
        "target_ns": number(root.findtext("UserAssignments/TargetClockPeriod", "")),
        "estimated_ns": number(estimated),
        **area,
        "loops": loops,
    }


def read_cosim(path: Path) -> dict[str, Any]:
    """Status and latency of a co-simulation: `language`, `status`, cycles `least`, `average` and `most` of a start.

    The report is a table with a line for each language; lines with status NA were not simulated.
    """
    for cells in rows(content(path, "co-simulation report")):
        if len(cells) >= 8 and cells[0] in ("Verilog", "VHDL") and cells[1] != "NA":
            least, average, most = (number(cell) for cell in cells[2:5])
            return {"language": cells[0], "status": cells[1], "least": least, "average": average, "most": most}
    raise PeelVitError(f"{path} is no co-simulation report: it has no line for a simulated language")
