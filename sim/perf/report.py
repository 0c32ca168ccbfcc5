"""Measured runs as tables and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from host.device import KINDS
from sim.perf.energy import joules, legend
from sim.perf.run import Run

UNITS = {"inference": "ms an image", "training": "h an epoch"}
LEGEND = """\
modelled  cycles counted while the kernels run in C simulation, at {clock:g} MHz; not confirmed by synthesis or a board
bound     the same multiply-accumulates, one a cycle in each of the {dsp} DSP slices; a cell of the GEMM array makes two
paper     Table 2 of Tri-Level E-ViT: batch 1, 16 bits, ZCU102 at 150 MHz
target    inference at batch 1 and training at micro-batch 16 as set for this project; training at batch 1, an update
          per image: 1.5 times faster than the paper
compute   the multiply-accumulate array works; memory: a port or the DDR memory sets the pace; vector: other loops;
          stall: fill and drain of pipelines and dataflow regions, latencies, code outside loops"""


def tables(runs: Sequence[Run]) -> str:
    """For every model, pass and micro-batch: where the time goes, and the total beside paper, target and bound."""
    groups = [list(group) for _, group in groupby(runs, key=lambda run: (run.model, run.purpose, run.batch))]
    config = runs[0].config
    explained = LEGEND.format(clock=config.clock_mhz, dsp=config.dsp)
    return "\n\n".join([*map(_table, groups), targets(runs), explained, legend()])


def _table(runs: list[Run]) -> str:
    first = runs[0]
    lines = [f"{first.model}, {first.purpose}, micro-batch {first.batch}", _row("", [run.level for run in runs])]
    for level in ("examples", "tokens", "attention"):
        lines.append(_row(f"keep of {level}", [f"{getattr(run.keep, level):g}" for run in runs]))
    ops = [{part: float(kinds.sum()) for part, kinds in run.split(run.ops()).items()} for run in runs]
    passes = [{part: float(kinds.sum()) for part, kinds in run.split(run.passes()).items()} for run in runs]
    lines += _parts("ms an image by op", ops)
    if first.purpose == "training":
        lines += _parts("ms an image by pass", passes)
    lines += _parts("ms an image by what it is spent on", [run.by_kind() for run in runs])
    unit = UNITS[first.purpose]
    figures: dict[str, Callable[[Run], float | None]] = {
        "ms an image, modelled": lambda run: run.ms if run.purpose == "training" else None,
        f"{unit}, modelled": lambda run: run.modelled,
        f"{unit}, target": lambda run: run.target,
        f"{unit}, paper": lambda run: run.paper,
        f"{unit}, bound": lambda run: run.bound,
        "times faster than the paper": lambda run: run.paper / run.modelled if run.paper else None,
        "MAC utilisation, %": lambda run: 100 * run.mac_utilisation,
        "DDR MB an image": lambda run: run.ddr_bytes / 1e6,
        "J an image, estimated, from": lambda run: joules(run.ms)[0],
        "J an image, estimated, to": lambda run: joules(run.ms)[1],
    }
    for label, figure in figures.items():
        values = [figure(run) for run in runs]
        if any(value is not None for value in values):
            lines.append(_row(label, list(map(_number, values))))
    return "\n".join(lines)


def _parts(title: str, times: list[dict[str, float]]) -> list[str]:
    """A row for every part, longest first."""
    parts = sorted(set().union(*times), key=lambda part: -max(each.get(part, 0.0) for each in times))
    return [title, *(_row(f"  {part}", [f"{each.get(part, 0.0):.3f}" for each in times]) for part in parts)]


def targets(runs: Sequence[Run]) -> str:
    """Which targets are held, and what binds those that are missed."""
    lines = [f"{'targets':52}{'modelled':>10}{'target':>10}"]
    for run in runs:
        if run.target is not None:
            what = f"{run.model} {run.purpose} micro-batch {run.batch}, {run.level}"
            verdict = "held" if run.held else f"missed: {run.binding}"
            lines.append(f"{what:52}{run.modelled:>10.2f}{run.target:>10.2f}  {verdict}")
    return "\n".join(lines)


def split_table(run: Run) -> str:
    """Milliseconds an image by op, layer and pass, and what they were spent on."""
    lines = [f"{run.model}, {run.purpose}, micro-batch {run.batch}, level {run.level}: ms an image, modelled"]
    for title, parts in (("op", run.ops()), ("layer", run.layers()), ("pass", run.passes())):
        lines.append(_row(title, [*KINDS, "total"]))
        for part, kinds in run.split(parts).items():
            lines.append(_row(f"  {part}", [f"{ms:.3f}" for ms in [*kinds.tolist(), float(kinds.sum())]]))
    lines.append(f"attention behind other instructions, in none of these: {run.hidden:.3f}")
    return "\n".join(lines)


def instruction_table(run: Run) -> str:
    """Cycles of every instruction, what they were spent on, and what bounded most of them."""
    counters = run.counters
    lines = [f"{run.model}, {run.purpose}, level {run.level}: cycles by instruction, modelled"]
    lines.append(f"{'':63}{'total':>12}" + "".join(f"{kind:>10}" for kind in KINDS) + "  bound by")
    for index, (name, instruction, kinds, bound) in enumerate(
        zip(run.names, run.instructions, counters.instruction_kinds.tolist(), counters.instruction_bounds, strict=True)
    ):
        spent = "".join(f"{cycles:>10,}" for cycles in kinds)
        lines.append(f"{index:5}  {name:36}{instruction.op.name:20}{sum(kinds):>12,}{spent}  {bound}")
    return "\n".join(lines)


def _row(label: str, cells: Sequence[str]) -> str:
    return f"{label:36}" + "".join(f"{cell:>10}" for cell in cells)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if value < 1 else f"{value:.2f}"


def write_json(
    path: Path, runs: Sequence[Run], resources: dict[str, Any] | None, connections: list[dict[str, Any]]
) -> None:
    """`reports/perf.json`. `resources` are dsp, bram36, lut and ff; `connections` the rows of the attention table."""
    content = {
        "board": runs[0].config.name,
        "clock_mhz": runs[0].config.clock_mhz,
        "resources": resources,
        "runs": [run.as_dict() for run in runs],
        "attention": connections,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
