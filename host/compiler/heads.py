"""Which heads of an image go together, so that attention of some hides the projections of the next ones.

The first group's projections and the last group's attention have nothing beside them; in between the longer of both
counts. Cycles are estimated from sizes (`sim.perf` executes them): they only decide how the heads are cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from hls.spec.config import HardwareConfig
from hls.spec.formats import LANES
from hls.spec.pieces import PARTS

ATTENTION_FILL = 1700
"""Cycles in which an instruction of the attention unit fills and drains."""
BLOCK_FILL = 20
"""Those in which two queries a lane begin and end."""
GEMM_FILL = 700
"""Those of a GEMM, beside its first loads."""
ATTENTION_PORTS = 2


@dataclass(frozen=True)
class AttentionShape:
    """Of one image: `keys` of a patch query, the class key included; `dim` of a token."""

    tokens: int
    queries: int
    keys: int
    dim: int
    head_dim: int


def head_groups(config: HardwareConfig, heads: int, shape: AttentionShape) -> tuple[range, ...]:
    """The fastest way to cut the heads, in order."""

    @cache
    def best(first: int, count: int) -> tuple[float, tuple[range, ...]]:
        """Cycles from the start of attention of this group on, and the groups from it on."""
        own, end = attention(config, count, shape), first + count
        group = range(first, end)
        ways: list[tuple[float, tuple[range, ...]]] = [(own, (group,))] if end == heads else []
        for size in range(1, heads - end + 1):
            rest, groups = best(end, size)
            ways.append((max(own, projections(config, size, shape)) + rest, (group, *groups)))
        return min(ways, key=lambda way: (way[0], len(way[1])))

    ways = []
    for size in range(1, heads + 1):
        cycles, groups = best(0, size)
        ways.append((cycles + projections(config, size, shape), groups))
    return min(ways, key=lambda way: (way[0], len(way[1])))[1]


def attention(config: HardwareConfig, heads: int, shape: AttentionShape) -> float:
    """Cycles of attention of some heads: multiplied, or moved if that takes longer."""
    blocks = -(-shape.queries // (2 * config.lanes))
    multiplied = 2 * blocks * (2 * shape.keys + BLOCK_FILL)
    rows = 2 * (shape.tokens + shape.queries) * shape.head_dim / LANES
    probabilities = 2 * shape.queries * -(-shape.keys // LANES)
    return ATTENTION_FILL + heads * max(multiplied, (rows + probabilities) / ATTENTION_PORTS)


def projections(config: HardwareConfig, heads: int, shape: AttentionShape) -> float:
    """Cycles of queries, keys and values of some heads, their rows being on chip."""
    column_tiles = PARTS * -(-heads * shape.head_dim // config.column_tile)
    turn = max(-(-shape.dim // 2), config.row_tile * config.column_tile // LANES)
    first_columns = shape.dim * config.column_tile / LANES / config.ports
    return GEMM_FILL + first_columns + column_tiles * -(-shape.tokens // config.row_tile) * turn
