"""``python -m sim.perf --models deit_tiny_patch16_224 --passes inference --levels dense --instructions``."""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from typing import Any

from tqdm import tqdm

from host.devices.csim import CsimDevice
from host.errors import PeelVitError, run_main
from host.model import ViTConfig, parse_model
from sim.csim import build
from sim.perf.connections import connection_rows, connection_table
from sim.perf.levels import LEVELS, TRAINING_BATCH
from sim.perf.measure import PASSES, measure
from sim.perf.plots import write_pictures
from sim.perf.report import instruction_table, split_table, tables, write_json
from sim.perf.resources import resources
from sim.perf.run import Run
from sim.perf.synthesis import find_report, loop_table, read_report, stated_loops, title
from sim.workload import load_hardware

MEMORY_LIMIT = 2 << 30
"""Of the board's memory that the processor maps low."""


def main() -> None:
    """Command line."""
    options = _parser().parse_args()
    config = load_hardware(options.config)
    if min(options.batch) < 1:
        raise PeelVitError("give a micro-batch of at least 1")
    models = [parse_model(name) for name in options.models]
    build(config, "fast")
    device = CsimDevice(config, rows_wait=options.rows_wait)
    if options.rows_wait:
        print("pessimistic: every row of a flattened nest of loops waits for the memory's latency\n")
    runs = _runs(device, models, options)
    rows: list[dict[str, Any]] = []
    if options.connections:
        for model in tqdm(models, unit="model", desc="attention", disable=None):
            rows += connection_rows(device, model, MEMORY_LIMIT)
    _print(runs, rows, options)
    used = None
    if options.resources:
        used, line = resources(config)
        print(f"\n{line}")
    write_json(options.json, runs, used, rows)
    written = [options.json]
    if options.pictures:
        for run in runs:
            if run.level == options.levels[0]:
                written += write_pictures(options.json.parent, run)
    print("\nwritten: " + " ".join(map(str, written)))


def _print(runs: list[Run], rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    for chosen, table in ((options.instructions, instruction_table), (options.split, split_table)):
        if chosen:
            print("\n\n".join(map(table, runs)), end="\n\n")
    print(tables(runs))
    if rows:
        print(f"\n{connection_table(rows)}")
    config = runs[0].config
    report = options.csynth or find_report(config)
    if report is not None:
        loops = loop_table(stated_loops(config), read_report(report))
        print(f"\npipelined loops, modelled and synthesised: {title(report, config)}\n{loops}")


def _runs(device: CsimDevice, models: list[ViTConfig], options: argparse.Namespace) -> list[Run]:
    """Inference at micro-batch 1, training at each of the given ones."""
    wanted = [
        (model, purpose, batch, level)
        for model, purpose in product(models, options.passes)
        for batch in (options.batch if purpose == "training" else [1])
        for level in options.levels
    ]
    runs = []
    bar = tqdm(wanted, unit="program", disable=None)
    for model, purpose, batch, level in bar:
        bar.set_postfix_str(f"{model.name} {purpose} {batch} {level}")
        runs.append(measure(device, model, purpose, level, LEVELS[level], batch=batch, memory_limit=MEMORY_LIMIT))
    return runs


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sim.perf", description="Modelled cycles of the accelerator.")
    deit = ["deit_tiny_patch16_224", "deit_small_patch16_224"]
    parser.add_argument("--models", nargs="+", default=deit, metavar="MODEL")
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=PASSES)
    parser.add_argument("--levels", nargs="+", choices=LEVELS, default=list(LEVELS))
    batches = [TRAINING_BATCH, 1]
    parser.add_argument("--batch", nargs="+", type=int, default=batches, help="micro-batches of training, in images")
    parser.add_argument("--config", default="zcu102", help="hardware configuration")
    parser.add_argument("--json", type=Path, default=Path("reports/perf.json"), help="where the figures are written to")
    estimate = "estimate what the configuration takes of its device"
    parser.add_argument("--resources", action=argparse.BooleanOptionalAction, default=True, help=estimate)
    waits = "assume that every row of a flattened nest of loops waits for the memory's latency"
    parser.add_argument("--rows-wait", action="store_true", help=waits)
    report = "Vitis HLS report, a file or a folder, to print beside the stated loops"
    parser.add_argument("--csynth", type=Path, help=report)
    parser.add_argument(
        "--connections", action=argparse.BooleanOptionalAction, default=True, help="the attention table"
    )
    parser.add_argument(
        "--pictures", action=argparse.BooleanOptionalAction, default=True, help="rooflines and timelines"
    )
    parser.add_argument("--split", action="store_true", help="also print times by op, layer and pass in their parts")
    parser.add_argument("--instructions", action="store_true", help="also print the cycles of every instruction")
    return parser


if __name__ == "__main__":
    run_main(main)
