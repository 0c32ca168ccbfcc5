"""What the checkers counted, over all tests: bins by port, as a table and as numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from sim.rtl.shell.watched import BINS, PORTS

Counts = list[list[int]]
"""[ports][bins]"""


def collected(folder: Path, modules: Sequence[str]) -> Counts:
    """The sum over the modules' files; a module that wrote none has covered nothing."""
    total = [[0] * len(BINS) for _ in range(PORTS)]
    for module in modules:
        path = folder / f"coverage.{module}.json"
        if not path.is_file():
            continue
        for port, counts in enumerate(json.loads(path.read_text())):
            total[port] = [old + new for old, new in zip(total[port], counts, strict=True)]
    return total


def holes(counts: Counts) -> list[str]:
    """Bins that nothing reached, by port."""
    return [
        f"port {port}: {watched.text}"
        for port, row in enumerate(counts)
        for watched, count in zip(BINS, row, strict=True)
        if count == 0
    ]


def table(counts: Counts) -> str:
    """A line a bin."""
    width = max(len(watched.text) for watched in BINS)
    head = f"{'covered':{width}}" + "".join(f"{f'port {port}':>10}" for port in range(PORTS))
    lines = [
        f"{watched.text:{width}}" + "".join(f"{counts[port][i]:>10}" for port in range(PORTS))
        for i, watched in enumerate(BINS)
    ]
    return "\n".join([head, *lines])


def as_json(counts: Counts) -> dict[str, list[int]]:
    """Counts by bin."""
    return {watched.name: [row[i] for row in counts] for i, watched in enumerate(BINS)}
