"""Pictures of a run: the roofline of its instructions, and when each ran and what bounded it."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from hls.spec.formats import WORD_BYTES
from host.device import KINDS, STREAMS
from sim.macs import macs
from sim.perf.run import Run

COLORS = dict(zip(KINDS, ("tab:green", "tab:orange", "tab:blue", "tab:red"), strict=True))


def write_pictures(folder: Path, run: Run) -> list[Path]:
    """`roofline-<run>.png` and `timeline-<run>.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{run.model}-{run.purpose}-{run.batch}-{run.level}"
    paths = []
    for kind, draw in (("roofline", _roofline), ("timeline", _timeline)):
        figure, axes = pyplot.subplots(figsize=(11, 5), layout="constrained")
        draw(axes, run)
        title = (
            f"{run.model}, {run.purpose}, micro-batch {run.batch}, {run.level}: modelled at {run.config.clock_mhz} MHz"
        )
        axes.set_title(title)
        paths.append(folder / f"{kind}-{name}.png")
        figure.savefig(paths[-1], dpi=120)
        pyplot.close(figure)
    return paths


def _roofline(axes: Axes, run: Run) -> None:
    """Multiply-accumulates a cycle over those a byte; the area of a point is its part of the time."""
    cycles = run.counters.instruction_cycles.astype(float)
    moved = run.counters.instruction_words.sum(axis=1) * float(WORD_BYTES)
    work = np.array([macs(instruction) for instruction in run.instructions], float)
    ops = np.array(run.ops())
    for op in sorted(set(ops[work > 0])):
        here = (ops == op) & (work > 0)
        size = 8 + 3000 * cycles[here] / cycles.sum()
        axes.scatter(work[here] / moved[here], work[here] / cycles[here], s=size, alpha=0.6, label=op)
    config = run.config
    intensity = np.logspace(-1, 4, 200)
    ddr = config.ddr_words_per_thousand_cycles * WORD_BYTES / 1000
    ports = min(float(STREAMS) * WORD_BYTES, ddr)
    axes.plot(
        intensity, np.minimum(intensity * ports, config.macs), "k", label=f"{config.macs} MAC, {ports:.0f} B a cycle"
    )
    one = np.minimum(intensity * WORD_BYTES, config.macs)
    axes.plot(intensity, one, "k:", label=f"one port in one direction, {WORD_BYTES} B a cycle")
    axes.axhline(config.dsp, color="grey", linestyle="--", label=f"{config.dsp} DSP slices")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="multiply-accumulates a byte of DDR traffic",
        ylabel="multiply-accumulates a cycle",
    )
    axes.set_ylim(1, 2 * config.dsp)
    axes.legend(fontsize=8, markerscale=0.4)


def _timeline(axes: Axes, run: Run) -> None:
    """A row for each op, a bar for each instruction in the colours of what its cycles were spent on."""
    rows = list(dict.fromkeys(run.ops()))
    for op, (start, length), kinds in zip(run.ops(), run.spans(), run.counters.instruction_kinds, strict=True):
        for kind, part in zip(KINDS, kinds / max(1, kinds.sum()), strict=True):
            axes.broken_barh([(start, length * part)], (rows.index(op) - 0.4, 0.8), color=COLORS[kind])
            start += length * part
    axes.set_yticks(range(len(rows)), rows)
    axes.invert_yaxis()
    axes.set_xlabel("ms of the micro-batch; within an instruction the kinds are stacked, not in order")
    axes.legend(handles=[Patch(color=color, label=kind) for kind, color in COLORS.items()], fontsize=8)
