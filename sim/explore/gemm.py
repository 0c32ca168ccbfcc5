"""Cycles of a GEMM instruction from the sizes of the engine: its walk of steps, scheduled task by task.

The walk and the words that each task moves are those of hls/templates/gemm; what a word and a loop cost is fitted to
the C simulation (`calibrate.py`). So the model follows the sizes, and the fit follows the kernels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from hls.spec.config import HardwareConfig
from hls.spec.formats import LANES

BURST = 8
"""Words of a row that a transposing load reads at once."""


@dataclass(frozen=True)
class Shape:
    """Of one instruction: output rows and columns, contraction, and what the epilogue moves."""

    op: str
    rows: int
    columns: int
    segments: tuple[int, ...]
    """Lengths of the parts of the contraction with fractions of their own."""
    flags: frozenset[str]


@dataclass(frozen=True)
class Step:
    """Cycles that the tasks of a pass through the region take if a word a port takes one."""

    load: int
    multiply: int
    finish: int


@dataclass(frozen=True)
class Fit:
    """Of one form: cycles a loaded and a stored word, of a task besides, and of an instruction."""

    load: float
    finish: float
    task: float
    instruction: float


def shape_of(op: str, d: dict[str, int], flags: frozenset[str]) -> Shape:
    """From an instruction's dimensions."""
    if op == "gemm_tn":
        parts = (d["rows"] - d["split"], d["split"])
        return Shape(op, d["n"], d["k"], tuple(part for part in parts if part), flags)
    segments = d.get("segments", 1) if op == "gemm_nn" else 1
    return Shape(op, d["rows"], d["n"], (d["k"] // segments,) * segments, flags)


def cycles(shape: Shape, config: HardwareConfig, fit: Fit) -> float:
    """Of an instruction: two blocks a channel, so a task waits for the one before and for the one two steps ahead."""
    load = multiply = finish = 0.0
    multiply_before = finish_before = 0.0
    for step in steps(shape, _sizes(config)):
        load_end = max(load, multiply_before) + fit.load * step.load + fit.task * (step.load > 0)
        multiply_end = max(load_end, multiply, finish_before) + step.multiply + fit.task
        finish_end = max(multiply_end, finish) + fit.finish * step.finish + fit.task
        multiply_before, finish_before = multiply, finish
        load, multiply, finish = load_end, multiply_end, finish_end
    return finish + fit.instruction


Sizes = tuple[int, int, int, int, int, int, int]


def _sizes(config: HardwareConfig) -> Sizes:
    return (
        config.row_tile,
        config.column_tile,
        config.step_tiles,
        config.panel_rows,
        config.chunk,
        config.sum_rows,
        config.ports,
    )


@cache
def steps(shape: Shape, sizes: Sizes) -> tuple[Step, ...]:
    """All steps of an instruction, in order."""
    return tuple(_walk(shape, sizes))


def _walk(shape: Shape, sizes: Sizes) -> Iterator[Step]:
    row_tile, column_tile, step_tiles, panel_rows, chunk, sum_rows, ports = sizes
    chunks = [min(chunk, part - start) for part in shape.segments for start in range(0, part, chunk)]
    tiles = math.ceil(shape.columns / column_tile)
    is_first = True
    for row in range(0, shape.rows, panel_rows):
        rows = min(panel_rows, shape.rows - row)
        group = tiles if len(chunks) == 1 else max(1, sum_rows // rows)
        for start in range(0, tiles, group):
            for place, count in enumerate(chunks):
                for tile in range(start, min(tiles, start + group)):
                    columns = min(column_tile, shape.columns - tile * column_tile)
                    done, of_panel = 0, math.ceil(rows / row_tile)
                    while done < of_panel:
                        size = 1 if is_first else min(step_tiles, of_panel - done)
                        is_first = False
                        part = min(size * row_tile, rows - done * row_tile)
                        new = (tile == start, done == 0, place == len(chunks) - 1)
                        yield _step(shape, row_tile, ports, size, part, columns, count, new)
                        done += size


def _step(
    shape: Shape, row_tile: int, ports: int, tiles: int, rows: int, columns: int, count: int, new: tuple[bool, ...]
) -> Step:
    """Of a block of row tiles, a column tile and a chunk; `new`: rows, columns, last chunk."""
    words = min(math.ceil(columns / LANES), math.ceil(columns / LANES / ports))
    blocks, burst = math.ceil(count / LANES / BURST), min(BURST, math.ceil(count / LANES))
    load = finish = 0
    if new[1]:
        load += (words * blocks + 1) * LANES * burst if shape.op == "gemm_nt" else count * words
    if new[0] and shape.op == "gemm_tn":
        load += math.ceil(count / ports) * math.ceil(rows / LANES)
    elif new[0]:
        load += (tiles * math.ceil(row_tile / (ports * LANES)) * blocks + 1) * LANES * burst
    if not new[2]:
        finish = rows * words
    elif shape.op == "gemm_tn":
        load += 2 * rows * words if "ACCUMULATE" in shape.flags else 0
        finish = 2 * rows * words
    else:
        load += (rows + 1) * words if "RESIDUAL" in shape.flags else 0
        load += rows * words if "GELU_BACKWARD" in shape.flags else 0
        finish = rows * words * (2 if "GELU" in shape.flags else 1)
    drain = math.ceil(row_tile / 2)
    return Step(load, tiles * max(count, drain) + drain, finish)
