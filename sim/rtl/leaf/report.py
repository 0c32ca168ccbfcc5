"""The report of the leaves: cells and stages, as JSON for the resource figure and as a table to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from hls.spec.config import HardwareConfig
from sim.rtl.leaf import mac_cell
from sim.rtl.leaf.depth import depths, stages
from sim.rtl.leaf.estimated import estimates
from sim.rtl.leaf.flow import FOLDER
from sim.rtl.leaf.synthesis import RECIPE, synthesise, without_tables
from sim.rtl.leaf.verilog import DELAY_MODEL, Module, period_ps


def report(config: HardwareConfig, modules: list[Module], vectors: Mapping[str, int]) -> dict[str, Any]:
    """Synthesise every module. `vectors`: how many each was found right on (0: not simulated, or not right).

    docs/area.md has the schema.
    """
    folder = FOLDER / config.name
    folder.mkdir(parents=True, exist_ok=True)
    estimated = estimates(config, [m.leaf for m in modules if m.leaf.name not in mac_cell.NAMES], folder)
    leaves = {}
    for module in modules:
        name = module.leaf.name
        if name == "mac_cell":
            continue  # its primitive is what is built
        source = folder / f"{name}.cells.sv"
        source.write_text(without_tables(module.text))
        area = synthesise([mac_cell.SOURCE if name == "mac_cell_primitive" else source], name, folder)
        leaves[name] = {
            **asdict(area),
            "stages": module.stages,
            "latency": module.latency,
            "interval": 1,
            "table_bits": module.table_bits,
            "vectors": vectors[name],
        }
        if name in estimated:
            leaves[name]["estimated"] = {"dsp": round(estimated[name].dsp), "lut": round(estimated[name].lut)}
    origin = {
        "config": config.name,
        "clock_mhz": config.clock_mhz,
        "synthesis": f"yosys {RECIPE}, constant tables left out",
        "delay_model": f"XLS {DELAY_MODEL}, {period_ps(config)} ps a stage",
    }
    loops = {each.label: {"stated": each.stated, "needed": each.needed} for each in depths(config, stages(modules))}
    return {"origin": origin, "leaves": leaves, "loops": loops}


def table(report: Mapping[str, Any]) -> str:
    """Cells and stages by leaf, as lines; with the LUTs that the rules of `hls.area` give."""
    columns = ("dsp", "lut", "estimated", "ff", "stages", "table_bits")
    lines = [f"{'leaf':20}" + "".join(f"{column:>11}" for column in columns)]
    for name, leaf in report["leaves"].items():
        cells = {**leaf, "estimated": leaf["estimated"]["lut"]} if "estimated" in leaf else {**leaf, "estimated": "-"}
        lines.append(f"{name:20}" + "".join(_cell(cells[column]) for column in columns))
    return "\n".join(lines)


def _cell(count: int | str) -> str:
    return f"{count:>11}" if isinstance(count, str) else f"{count:11,}"


def loop_table(report: Mapping[str, Any]) -> str:
    """Depths by loop, as lines."""
    lines = [f"{'loop':20}{'stated':>11}{'needed':>11}"]
    for name, loop in report["loops"].items():
        lines.append(f"{name:20}{loop['stated']:11}{loop['needed']:11}")
    return "\n".join(lines)
