"""Which heads of an image go together, so that attention of some hides the projections of the next ones, and whether
the two passes of attention go apart, so that each hides something.

The first group's projections and the last group's attention have nothing beside them; in between the longer of both
counts. Cycles are estimated from sizes (`sim.perf` executes them): they only decide how attention is cut.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from hls.spec.config import HardwareConfig
from hls.spec.formats import LANES
from hls.spec.pieces import PARTS

ATTENTION_FILL = 1700
"""Cycles in which an instruction of the attention unit fills and drains."""
BLOCK_FILL = 20
"""Those in which two queries a lane begin and end."""
GEMM_FILL = 700
"""Those of a GEMM, which finds its first weights on chip."""
ATTENTION_PORTS = 2
"""Memory ports of the attention unit, a word a cycle each."""
PASSES = 2
"""Of attention: scores and values."""
SELECTION_FILL = 500
"""Cycles of `select_tokens` beside those of its row of the map."""
KEYS_FILL = 35
"""Those in which rows of `select_keys` begin and end, one a port."""


@dataclass(frozen=True)
class AttentionShape:
    """Of one image.

    Attributes:
        tokens: those that have keys and values, the class token included.
        queries: all tokens, or the class token alone.
        keys: of a patch query, the class key included.
        dim: elements of a token.
        head_dim: elements of a head, padding included.
    """

    tokens: int
    queries: int
    keys: int
    dim: int
    head_dim: int


def head_groups(config: HardwareConfig, heads: int, shape: AttentionShape) -> tuple[range, ...]:
    """The fastest way to cut `heads` heads: ranges of them, in order, one where nothing is gained."""

    @cache
    def best(first: int, count: int) -> tuple[float, tuple[range, ...]]:
        """Cycles from the start of attention of `count` heads from `first` on, and the groups behind them."""
        own, end = attention(config, count, shape) if count else 0.0, first + count
        ways: list[tuple[float, tuple[range, ...]]] = [(own, ())] if end == heads else []
        for size in range(1, heads - end + 1):
            rest, groups = best(end, size)
            cycles = max(own, projections(config, size, shape)) + rest
            ways.append((cycles, (range(end, end + size), *groups)))
        return min(ways, key=lambda way: (way[0], len(way[1])))

    return best(0, 0)[1]


def passes_apart(
    config: HardwareConfig, heads: int, images: int, shape: AttentionShape, map_rows: int, choosing: float
) -> bool:
    """Whether it is faster to make values beside the scores, and to choose (so many cycles) beside the sums of values,
    than all one after the other. Nothing hides then that the scores end with `map_rows` of an image's map."""
    rows = replace(shape, tokens=images * shape.tokens)
    values = attention(config, images * heads, shape, passes=1)
    scores = values + images * map_rows * 2 * shape.tokens / LANES / ATTENTION_PORTS
    apart = projections(config, heads, rows, parts=PARTS - 1)
    apart += max(scores, projections(config, heads, rows, parts=1)) + max(values, choosing)
    return apart < projections(config, heads, rows) + attention(config, images * heads, shape) + choosing


def attention(config: HardwareConfig, heads: int, shape: AttentionShape, *, passes: int = PASSES) -> float:
    """Cycles of attention of some heads: multiplied, or moved if that takes longer."""
    blocks = -(-shape.queries // (2 * config.lanes))
    multiplied = 2 * blocks * (2 * shape.keys + BLOCK_FILL)
    rows = 2 * (shape.tokens + shape.queries) * shape.head_dim / LANES
    probabilities = 2 * shape.queries * -(-shape.keys // LANES)
    return ATTENTION_FILL + heads * passes / PASSES * max(multiplied, (rows + probabilities) / ATTENTION_PORTS)


def projections(config: HardwareConfig, heads: int, shape: AttentionShape, *, parts: int = PARTS) -> float:
    """Cycles of queries, keys and values of some heads, or of one or two of them, their rows being on chip."""
    column_tiles = parts * -(-heads * shape.head_dim // config.column_tile)
    turn = max(-(-shape.dim // 2), config.row_tile * config.column_tile // LANES)
    load = shape.dim * config.column_tile / LANES / config.ports
    return GEMM_FILL + column_tiles * max(load, -(-shape.tokens // config.row_tile) * turn)


def selection(config: HardwareConfig, images: int, tokens: int, keep: int, *, lists: bool) -> float:
    """Cycles in which `keep` of each image's patches are chosen and, with `lists`, keys for each of them."""
    keys = -(-keep // config.ports) * (keep + KEYS_FILL) if lists else 0
    return SELECTION_FILL + images * (tokens + keys)
