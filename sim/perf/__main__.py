"""``python -m sim.perf --models deit_tiny_patch16_224 --batch 16 --json reports/perf.json``."""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

from tqdm import tqdm

from host.devices.csim import CsimDevice
from host.errors import PeelVitError, run_main
from host.model import parse_model
from sim.csim import build
from sim.perf.levels import LEVELS
from sim.perf.measure import PASSES, measure
from sim.perf.report import instruction_table, tables, write_json
from sim.workload import load_hardware

MEMORY_LIMIT = 2 << 30
"""Of the board's memory that the processor maps low."""


def main() -> None:
    """Command line."""
    options = _parser().parse_args()
    config = load_hardware(options.config)
    if options.batch < 1:
        raise PeelVitError("give a micro-batch of at least 1")
    models = [parse_model(name) for name in options.models]
    build(config, "fast")
    device, runs = CsimDevice(config), []
    settings = {"batch": options.batch, "memory_limit": MEMORY_LIMIT}
    bar = tqdm(list(product(models, options.passes, options.levels)), unit="program", disable=None)
    for model, purpose, level in bar:
        bar.set_postfix_str(f"{model.name} {purpose} {level}")
        runs.append(measure(device, model, purpose, level, **settings))
    if options.instructions:
        print("\n\n".join(map(instruction_table, runs)), end="\n\n")
    print(tables(runs))
    write_json(options.json, runs)
    print(f"\nwritten to {options.json}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sim.perf", description="Modelled cycles of the accelerator.")
    deit = ["deit_tiny_patch16_224", "deit_small_patch16_224"]
    parser.add_argument("--models", nargs="+", default=deit, metavar="MODEL")
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=PASSES)
    parser.add_argument("--levels", nargs="+", choices=LEVELS, default=list(LEVELS))
    parser.add_argument("--batch", type=int, default=1, help="images of a micro-batch")
    parser.add_argument("--config", default="zcu102", help="hardware configuration")
    parser.add_argument("--json", type=Path, default=Path("reports/perf.json"), help="where the figures are written to")
    parser.add_argument("--instructions", action="store_true", help="also print the cycles of every instruction")
    return parser


if __name__ == "__main__":
    run_main(main)
