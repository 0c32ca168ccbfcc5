"""Table 1's cost columns for any setting: MACs from the op table, times where they were measured, the paper beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.cost.model import StepCost
from trainer.cost.paper import TABLE_1
from trainer.cost.schedule import TrainingRun
from trainer.cost.timing import StepTimes
from trainer.keep import DENSE, Keep

MEASURED_POINTS = 5
"""Keep settings that are timed, from dense to the final ratios along their schedule."""

GIGA = 1e9


@dataclass(frozen=True)
class CostRow:
    """One row of the table; savings are fractions of the dense figure. Times are None when they were not measured.

    Attributes:
        model, level: what it is of; the level is `custom` for ratios of one's own.
        example_keep, token_keep, attention_keep: the final ratios.
        macs_dense: of a dense forward pass of one image, modelled.
        step_macs_dense, step_macs: of one image's training step, dense and at the final ratios, modelled.
        macs_saved: over the whole training run with its schedules, all three levels, modelled.
        macs_saved_final: of one image's step at the final ratios, modelled.
        macs_saved_computed: as `macs_saved`, but with attention connections counted as computed, which they are
            wherever the fastest way is to mask them (docs/trainer/cost.md), modelled.
        step_seconds_dense: of a dense step, measured.
        time_saved, time_saved_final: as the MACs saved, measured.
        time_over_macs: step-time saving over MACs saving at the final ratios.
        paper_macs_saved, paper_time_saved: Table 1 of the paper, None where it has no such row.
    """

    model: str
    level: str
    example_keep: float
    token_keep: float
    attention_keep: float
    macs_dense: int
    step_macs_dense: int
    step_macs: int
    macs_saved: float
    macs_saved_final: float
    macs_saved_computed: float
    step_seconds_dense: float | None
    time_saved: float | None
    time_saved_final: float | None
    time_over_macs: float | None
    paper_macs_saved: float | None
    paper_time_saved: float | None


def measured_keeps(run: TrainingRun) -> list[Keep]:
    """The keep settings of a run that are timed, dense first."""
    falling = [1 - (1 - np.cos(np.pi * p)) / 2 for p in np.linspace(0, 1, MEASURED_POINTS)]
    points = [
        Keep(*(float(target + (1 - target) * share) for target in (run.keep.tokens, run.keep.attention)))
        for share in falling
    ]
    return list(dict.fromkeys([DENSE, *points[1:-1], run.keep]))


def cost_row(
    model: str, level: str, baseline: StepCost, cost: StepCost, run: TrainingRun, times: StepTimes | None
) -> CostRow:
    """The figures of one setting; `baseline` is the same model without any token method."""
    dense, final = baseline(DENSE), cost(run.keep)
    paper = TABLE_1.get((model, level.removeprefix("trilevel_")))
    saved_final = 1 - final / dense
    step_ratio = None if times is None else times.ratios[run.keep]
    return CostRow(
        model=model,
        level=level,
        example_keep=run.example_keep,
        token_keep=run.keep.tokens,
        attention_keep=run.keep.attention,
        macs_dense=StepCost(baseline.architecture, training=False, backward=False)(DENSE),
        step_macs_dense=dense,
        step_macs=final,
        macs_saved=1 - run.example_ratio * run.average(cost) / dense,
        macs_saved_final=saved_final,
        macs_saved_computed=1 - run.example_ratio * run.average(lambda keep: cost(Keep(keep.tokens))) / dense,
        step_seconds_dense=None if times is None else times.dense_seconds,
        time_saved=None if times is None else 1 - run.example_ratio * average_time(cost, run, times),
        time_saved_final=None if step_ratio is None else 1 - step_ratio,
        time_over_macs=None if step_ratio is None or not saved_final else (1 - step_ratio) / saved_final,
        paper_macs_saved=None if paper is None else paper.macs_saved,
        paper_time_saved=None if paper is None else paper.time_saved,
    )


def average_time(cost: StepCost, run: TrainingRun, times: StepTimes) -> float:
    """Mean step time of the run over the dense step's; between the timed settings it goes with the MACs."""
    timed = sorted((cost(keep), ratio) for keep, ratio in times.ratios.items())
    macs, ratios = zip(*timed, strict=True)
    values, steps = zip(*run.spans(cost), strict=True)
    return float(np.average(np.interp(values, macs, ratios), weights=steps))


_Column = tuple[str, str, Callable[[CostRow], str]]


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f} %"


def _plain(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


_COLUMNS: tuple[_Column, ...] = (
    ("level", "", lambda row: row.level),
    ("e / r / ra", "", lambda row: f"{row.example_keep:g} / {row.token_keep:g} / {row.attention_keep:g}"),
    ("MACs dense", "modelled", lambda row: f"{row.macs_dense / GIGA:.4g} G"),
    ("run: MACs saved", "modelled", lambda row: _percent(row.macs_saved)),
    ("final step: saved", "modelled", lambda row: _percent(row.macs_saved_final)),
    ("run, keys computed", "modelled", lambda row: _percent(row.macs_saved_computed)),
    ("run: MACs saved", "paper", lambda row: _percent(row.paper_macs_saved)),
    ("run: time saved", "measured", lambda row: _percent(row.time_saved)),
    ("final step: saved", "measured", lambda row: _percent(row.time_saved_final)),
    (
        "final step: time / MACs",
        "measured",
        lambda row: _plain(row.time_over_macs),
    ),
    ("run: time saved", "paper", lambda row: _percent(row.paper_time_saved)),
)


def as_text(rows: Sequence[CostRow]) -> str:
    """The table for a terminal; the second line says where a column's figures come from."""
    measured = any(row.time_saved is not None for row in rows)
    columns = [c for c in _COLUMNS if measured or c[1] != "measured"]
    lines = [[title for title, _, _ in columns], [source for _, source, _ in columns]]
    lines += [[show(row) for _, _, show in columns] for row in rows]
    return aligned(lines)


def per_layer(baseline: StepCost, cost: StepCost, keep: Keep) -> str:
    """MACs of every pass of every layer of one image, dense and at `keep`, in millions."""
    dense = {(row.layer, row.work): row.macs for row in baseline.rows(DENSE)}
    kept = {(row.layer, row.work): (row.op, row.macs) for row in cost.rows(keep)}
    lines = [["layer", "pass", "op", "dense M", "kept M", "saved"]]
    for key in dict.fromkeys([*dense, *kept]):
        before, (op, after) = dense.get(key, 0), kept.get(key, ("", 0))
        saved = _percent(1 - after / before) if before else "-"
        lines.append([*key, op, f"{before / 1e6:.3f}", f"{after / 1e6:.3f}", saved])
    return aligned(lines)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Columns of text, the first left-aligned, the others right-aligned."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
