"""Measured runs as tables and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from host.device import KINDS
from sim.perf.levels import LEVELS
from sim.perf.measure import Run

UNITS = {"inference": "ms an image", "training": "h an epoch"}
LEGEND = """\
modelled  cycles counted while the kernels run in C simulation, at {clock:g} MHz
bound     the same multiply-accumulates, one a cycle in each of the {dsp} DSP slices
paper     Table 2 of Tri-Level E-ViT: batch 1, 16 bits, ZCU102 at 150 MHz"""


def tables(runs: Sequence[Run]) -> str:
    """For every model and pass: milliseconds by op, and the total beside the paper's figure and the bound."""
    groups = [list(group) for _, group in groupby(runs, key=lambda run: (run.model, run.purpose))]
    legend = LEGEND.format(clock=runs[0].config.clock_mhz, dsp=runs[0].config.dsp)
    return "\n\n".join([*map(_table, groups), legend])


def _table(runs: list[Run]) -> str:
    first = runs[0]
    title = f"{first.model}, {first.purpose}, micro-batch {first.batch}"
    by_kind = [run.by_kind() for run in runs]
    kinds = sorted(set().union(*by_kind), key=lambda kind: -by_kind[0].get(kind, 0.0))
    keep = [LEVELS[run.level] for run in runs]
    lines = [title, _row("", [run.level for run in runs])]
    for level in ("examples", "tokens", "attention"):
        lines.append(_row(f"keep of {level}", [f"{getattr(ratios, level):g}" for ratios in keep]))
    for kind in kinds:
        lines.append(_row(f"  {kind}, ms", [f"{times.get(kind, 0.0):.3f}" for times in by_kind]))
    if first.purpose == "training":
        lines.append(_row("ms an image, modelled", [f"{run.ms:.2f}" for run in runs]))
    unit = UNITS[first.purpose]
    figures: dict[str, Callable[[Run], float | None]] = {
        "modelled": lambda run: run.modelled,
        "paper": lambda run: run.paper,
        "bound": lambda run: run.bound,
    }
    for label, figure in figures.items():
        lines.append(_row(f"{unit}, {label}", [_number(figure(run)) for run in runs]))
    ratios = [run.paper / run.modelled if run.paper else None for run in runs]
    lines.append(_row("times faster than the paper", [_number(ratio) for ratio in ratios]))
    lines.append(_row("MAC utilisation", [f"{run.as_dict()['mac_utilisation']:.1%}" for run in runs]))
    lines.append(_row("DDR MB an image", [f"{run.as_dict()['ddr_bytes_per_image'] / 1e6:.1f}" for run in runs]))
    return "\n".join(lines)


def _row(label: str, cells: Sequence[str]) -> str:
    return f"{label:32}" + "".join(f"{cell:>10}" for cell in cells)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


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


def write_json(path: Path, runs: Sequence[Run]) -> None:
    """`reports/perf.json`."""
    content = {
        "board": runs[0].config.name,
        "clock_mhz": runs[0].config.clock_mhz,
        "runs": [run.as_dict() for run in runs],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
