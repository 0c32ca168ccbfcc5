"""What attention sparsity saves in attention: modelled time over keep ratios of connections, all tokens kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from host.devices.csim import CsimDevice
from host.model import ViTConfig
from sim.perf.levels import Keep
from sim.perf.measure import measure
from sim.perf.run import Run

RATIOS = (1.0, 0.5, 0.4, 0.3, 0.2)
FORWARD, BACKWARD = "attention", "attention_backward"


def connection_rows(
    device: CsimDevice, model: ViTConfig, memory_limit: int, ratios: Sequence[float] = RATIOS
) -> list[dict[str, Any]]:
    """A row for each ratio: milliseconds an image in the layers that a selector precedes, at micro-batch 1.

    The last block has one query and is left out; `select` is what choosing the connections costs, of all selectors.
    """
    runs = [
        measure(device, model, "training", f"{ratio:g}", Keep(1.0, 1.0, ratio), batch=1, memory_limit=memory_limit)
        for ratio in ratios
    ]
    sparse = {name for run in runs for name, i in zip(run.names, run.instructions, strict=True) if _is_listed(i.flags)}
    return [
        {
            "model": model.name,
            "attention": run.keep.attention,
            "forward_ms": _ms(run, FORWARD, sparse),
            "backward_ms": _ms(run, BACKWARD, sparse),
            "select_ms": _ms(run, "select_keys", None),
        }
        for run in runs
    ]


def _is_listed(flags: frozenset[str]) -> bool:
    return "SPARSE" in flags


def _ms(run: Run, op: str, names: set[str] | None) -> float:
    """Milliseconds an image of an op by itself, in instructions of these names with more than one query."""
    cycles = 0
    for name, instruction, spent in zip(run.names, run.instructions, run.counters.instruction_alone, strict=True):
        if instruction.op.name == op and (names is None or name in names):
            cycles += int(spent) if instruction.dimensions.get("queries", 2) > 1 else 0
    return run.ms_of(cycles)


def connection_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows, each beside the dense one of its model."""
    lines = [
        "attention in the layers behind a selector, all tokens kept: ms an image, modelled, and against dense",
        f"{'':26}{'keep':>6}{'forward':>10}{'':>8}{'backward':>10}{'':>8}{'select keys':>14}",
    ]
    dense = {row["model"]: row for row in reversed(rows)}
    for row in rows:
        first = dense[row["model"]]
        parts = "".join(
            f"{row[part]:>10.3f}{_relative(row[part], first[part]):>8}" for part in ("forward_ms", "backward_ms")
        )
        lines.append(f"{row['model']:26}{row['attention']:>6g}{parts}{row['select_ms']:>14.3f}")
    return "\n".join(lines)


def _relative(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "-"
