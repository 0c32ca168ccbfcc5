"""Reports of Vivado: utilisation, timing summary and power, as `report_*` writes them."""

from __future__ import annotations

import re
from pathlib import Path

from host.errors import PeelVitError
from vitis_project.reports.text import content, number, rows

_SITES = {"CLB LUTs": "lut", "CLB Registers": "ff", "Block RAM Tile": "bram36", "DSPs": "dsp", "URAM": "uram"}
_POWER = {
    "Total On-Chip Power (W)": "total_w",
    "Dynamic (W)": "dynamic_w",
    "Device Static (W)": "static_w",
    "Junction Temperature (C)": "junction_c",
}
_TIMING = re.compile(r"^\s*WNS\(ns\)\s+TNS\(ns\).*\n[\s-]*\n\s*(.+)$", re.MULTILINE)


def read_utilisation(path: Path) -> dict[str, dict[str, float]]:
    """Used and available LUTs, registers, BRAM36, DSP (and URAM) of `report_utilization`."""
    found: dict[str, dict[str, float]] = {}
    used, available = -1, -1
    for cells in rows(content(path, "utilisation report")):
        if cells[0] == "Site Type":
            used, available = cells.index("Used"), cells.index("Available")
        name = _SITES.get(cells[0].rstrip("*"))
        if name and name not in found and used > 0:
            counts = [number(cells[index]) for index in (used, available)]
            found[name] = {"used": counts[0] or 0.0, "available": counts[1] or 0.0}
    missing = {"lut", "ff", "bram36", "dsp"} - set(found)
    if missing:
        raise PeelVitError(
            f"{path} is no utilisation report of an UltraScale+ device: it lacks {', '.join(sorted(missing))}"
        )
    return found


def read_timing(path: Path) -> dict[str, float | bool]:
    """Slacks in ns of the design timing summary: `wns`, `tns`, `whs`, `ths`, and whether timing is met."""
    found = _TIMING.search(content(path, "timing report"))
    if found is None:
        raise PeelVitError(f"{path} has no design timing summary; write it with report_timing_summary")
    values = [number(value) for value in found[1].split()]
    if len(values) < 6 or any(value is None for value in (*values[:2], *values[4:6])):
        raise PeelVitError(f"{path} has no slacks in its design timing summary: is the design constrained and routed?")
    wns, tns, whs, ths = (float(values[index] or 0.0) for index in (0, 1, 4, 5))
    return {"wns": wns, "tns": tns, "whs": whs, "ths": ths, "met": wns >= 0 and whs >= 0}


def read_power(path: Path) -> dict[str, float | str]:
    """Watts of `report_power` and its confidence level: an estimate of the tool, not a measurement."""
    found: dict[str, float | str] = {}
    for cells in rows(content(path, "power report")):
        if len(cells) != 2:
            continue
        if cells[0] == "Confidence Level":
            found["confidence"] = cells[1]
        value = number(cells[1])
        if cells[0] in _POWER and value is not None:
            found[_POWER[cells[0]]] = value
    if "total_w" not in found:
        raise PeelVitError(f"{path} is no power report: it has no Total On-Chip Power")
    return found
