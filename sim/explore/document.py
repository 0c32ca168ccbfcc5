"""docs/configurations.md, from the report of a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from hls.spec.config import HardwareConfig, load
from hls.spec.devices import NAMES

PAGE = Path("docs/configurations.md")
_HEAD = """# Configurations

Written by `python -m sim.explore --document`; do not edit. One set of templates renders them all (`hls/configs/`), and
the C simulation of each equals the golden model bit for bit (`tests/sim/test_executors.py`, `test_whole_steps.py`).

Resources are estimated by [`hls.area`](area.md), what may be taken is all DSP and memories and 80 % of LUTs
and flip-flops; times are modelled by executing the kernels at 150 MHz (training without what the example level saves).
Nothing here was synthesised or measured on a board.
"""


def page(report: Mapping[str, Any]) -> str:
    """The page's text."""
    boards = report["boards"]
    parts = [_HEAD, _resources(boards), _times(boards), _outcome(boards), _sizes([load(name) for name in boards])]
    return "\n".join(parts)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _grid(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join([_row(head), _row(["---"] * len(head)), *map(_row, rows)]) + "\n"


def _resources(boards: Mapping[str, Any]) -> str:
    rows = []
    for name, board in boards.items():
        used, limits = board["shipped"]["resources"], board["limits"]
        counts = [_count(used[n], limits[n]) for n in NAMES]
        rows.append([name, f"{board['board']} ({board['device']})", *counts, "yes" if board["fits"] else "**no**"])
    return "## Resources, estimated\n\n" + _grid(["configuration", "board", *(n.upper() for n in NAMES), "fits"], rows)


def _count(used: float, limit: float) -> str:
    return f"{used:,.0f} of {limit:,.0f} ({used / limit:.0%})" if limit else f"{used:,.0f} of none"


def _times(boards: Mapping[str, Any]) -> str:
    programs = next(iter(boards.values()))["programs"]
    head = [f"{p['model'].split('_')[1]} {p['pass']}, micro-batch {p['micro_batch']}" for p in programs]
    rows = [[name, *(f"{p['simulated_ms']:.2f}" for p in board["programs"])] for name, board in boards.items()]
    return "## Milliseconds an image, dense, modelled\n\n" + _grid(["configuration", *head], rows)


def _outcome(boards: Mapping[str, Any]) -> str:
    rows = []
    for name, board in boards.items():
        best = board["recommended"]
        sizes = "none of those tried fits" if best is None else ", ".join(f"{k} {v}" for k, v in best["sizes"].items())
        slower = "" if best is None else f"{board['shipped']['score'] / best['score'] - 1:+.1%}"
        is_shipped = best is not None and best["sizes"] == board["shipped"]["sizes"]
        found = "shipped sizes are the search's output" + ("" if is_shipped else ", but for what the models can tell")
        rows.append([name, sizes, slower, board["fault"] or found])
    return "## The search\n\n" + _grid(
        ["configuration", "fastest that fits by hls.area", "shipped against it", "outcome"], rows
    )


def _sizes(configs: list[HardwareConfig]) -> str:
    names = [f.name for f in fields(HardwareConfig) if f.name != "name"]
    rows = [[name, *(str(_shown(getattr(config, name))) for config in configs)] for name in names]
    return "## All sizes\n\n" + _grid(["size", *(config.name for config in configs)], rows)


def _shown(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, tuple) else value
