"""The report of the leaves: cells and stages, as JSON for the resource figure and as a table to read."""

from __future__ import annotations

import json
from dataclasses import asdict

from hls.spec.config import HardwareConfig
from sim.rtl.leaf import mac_cell
from sim.rtl.leaf.depth import depths, stages
from sim.rtl.leaf.flow import FOLDER
from sim.rtl.leaf.synthesis import RECIPE, synthesise
from sim.rtl.leaf.verilog import DELAY_MODEL, Module, period_ps


def report(config: HardwareConfig, modules: list[Module], vectors: int) -> str:
    """Synthesise every module; the report's JSON. `vectors`: how many each was found right on (0: not simulated)."""
    folder = FOLDER / config.name
    folder.mkdir(parents=True, exist_ok=True)
    leaves = {}
    for module in modules:
        if module.leaf.name == "mac_cell":
            continue  # its primitive is what is built
        source = folder / f"{module.leaf.name}.sv"
        source.write_text(module.text)
        is_cell = module.leaf.name == "mac_cell_primitive"
        area = synthesise([mac_cell.SOURCE if is_cell else source], module.leaf.name, folder)
        leaves[module.leaf.name] = {
            **asdict(area),
            "stages": module.stages,
            "latency": module.latency,
            "table_bits": module.table_bits,
        }
    origin = {
        "config": config.name,
        "clock_mhz": config.clock_mhz,
        "synthesis": f"yosys {RECIPE}",
        "delay_model": f"XLS {DELAY_MODEL}, {period_ps(config)} ps a stage",
        "vectors": vectors,
    }
    loops = {each.label: {"stated": each.stated, "needed": each.needed} for each in depths(config, stages(modules))}
    return json.dumps({"origin": origin, "leaves": leaves, "loops": loops}, indent=2) + "\n"


def table(report_json: str) -> str:
    """Cells and stages by leaf, as lines."""
    columns = ("dsp", "lut", "ff", "stages", "table_bits")
    lines = [f"{'leaf':20}" + "".join(f"{column:>11}" for column in columns)]
    for name, leaf in json.loads(report_json)["leaves"].items():
        lines.append(f"{name:20}" + "".join(f"{leaf[column]:11,}" for column in columns))
    return "\n".join(lines)


def loop_table(report_json: str) -> str:
    """Depths by loop, as lines."""
    lines = [f"{'loop':20}{'stated':>11}{'needed':>11}"]
    for name, loop in json.loads(report_json)["loops"].items():
        lines.append(f"{name:20}{loop['stated']:11}{loop['needed']:11}")
    return "\n".join(lines)
