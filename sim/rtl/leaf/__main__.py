"""The leaf datapaths as RTL: `python -m sim.rtl.leaf zcu102 [--vectors 100000] [--area] [--leaf rsqrt ...]`.

Makes SystemVerilog of every leaf from the kernels' C++, runs it under Verilator and cocotb against the golden model,
a vector a cycle, compares its stages with the depths that the kernels' loops state, and with --area counts its cells
with yosys, all into reports/area.json.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hls.area.report import REPORT, update
from host.errors import PeelVitError, run_main
from sim.rtl.leaf.depth import depths, stages
from sim.rtl.leaf.flow import FOLDER, made
from sim.rtl.leaf.report import loop_table, report, table
from sim.rtl.leaf.simulate import simulate
from sim.workload import load_hardware


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m sim.rtl.leaf", description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="zcu102", help="a shipped configuration or a JSON file")
    parser.add_argument("--vectors", type=int, default=100_000, help="vectors a leaf; 0: no simulation")
    parser.add_argument("--seed", type=int, default=1, help="of the vectors (default: %(default)s)")
    parser.add_argument("--leaf", nargs="+", default=[], help="only these leaves")
    parser.add_argument("--area", action="store_true", help="synthesise with yosys (minutes) and write the report")
    parser.add_argument("--report", type=Path, default=REPORT, help="where --area writes (default: %(default)s)")
    options = parser.parse_args()
    if options.vectors < 0 or options.seed < 0:
        raise PeelVitError("give 0 vectors or more, and a seed of 0 or more")
    config = load_hardware(options.config)
    modules = made(config, options.leaf)
    folder = FOLDER / config.name
    faults = simulate(config, modules, folder, options.vectors, options.seed) if options.vectors else {}
    for module in modules:
        verdict = faults.get(module.leaf.name, f"{options.vectors:,} vectors equal the golden model, one a cycle")
        print(f"{module.leaf.name:20} {module.stages:3} stages  {verdict if options.vectors else ''}".rstrip())
    slow = [depth for depth in depths(config, stages(modules)) if depth.needed > depth.stated]
    for depth in slow:
        print(f"loop {depth.label}: its leaves need {depth.needed} cycles, it states {depth.stated}")
    if options.area:
        names = [module.leaf.name for module in modules]
        areas = report(config, modules, {name: 0 if name in faults else options.vectors for name in names})
        update(options.report, areas)
        print(f"{table(areas)}\n{loop_table(areas)}")
    if faults or slow:
        sys.exit(1)


if __name__ == "__main__":
    run_main(main)
