"""Which queries of an image go together, so that attention of some hides what the block does with the ones before:
projection, norm and the first layer of the MLP. Each part reads the weights of these again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, pairwise

from hls.spec.config import HardwareConfig
from hls.spec.formats import ELEMENT_BYTES, WORD_BYTES
from host.compiler.cycles import AttentionShape, attention, linear, norm
from host.compiler.heads import Way, fastest_way

MOST_PARTS = 3


@dataclass(frozen=True)
class Behind:
    """What comes behind attention, row by row.

    Attributes:
        dim, hidden: elements of a token, and of the MLP's hidden one.
        saves: whether the norm stores its normalised rows.
    """

    dim: int
    hidden: int
    saves: bool

    def cycles(self, config: HardwareConfig, rows: int) -> float:
        """Projection, norm and the first layer of the MLP, of some rows."""
        projection = linear(config, rows, self.dim, self.dim, brings_rows=True)
        return projection + norm(rows, self.dim, saves=self.saves) + linear(config, rows, self.hidden, self.dim)


@cache
def query_parts(
    config: HardwareConfig, heads: int, shape: AttentionShape, behind: Behind, mapped: int
) -> tuple[float, tuple[range, ...]]:
    """The fastest way to cut the queries of an image in two or more: cycles up to the first layer of the MLP, without
    the choice of the next selector, and ranges of queries in order. The map has `mapped` rows."""

    def cycles(parts: tuple[range, ...]) -> float:
        cycles = first_part(config, heads, shape, parts, mapped).cycles
        for before, part in pairwise(parts):
            own = attention(config, heads, replace(shape, queries=len(part)))
            cycles += max(own, behind.cycles(config, len(before)))
        return cycles + behind.cycles(config, len(parts[-1]))

    ways = [(cycles(parts), parts) for parts in _ways(config, shape.queries)]
    return min(ways, key=lambda way: (way[0], len(way[1])), default=(math.inf, ()))


@cache
def first_part(config: HardwareConfig, heads: int, shape: AttentionShape, parts: tuple[range, ...], mapped: int) -> Way:
    """How projections and attention of the first part follow each other."""
    first = replace(shape, queries=len(parts[0]))
    return fastest_way(config, heads, 1, first, min(mapped, len(parts[0])), 0.0)


def _ways(config: HardwareConfig, queries: int) -> Iterator[tuple[range, ...]]:
    """Cuts where a row tile ends, and a word of the inverse deviations that a norm saves; the next part overwrites what
    this one pads them with."""
    places = range(0, queries, math.lcm(config.row_tile, WORD_BYTES // ELEMENT_BYTES["i32"]))[1:]
    for count in range(1, MOST_PARTS):
        for cuts in combinations(places, count):
            yield tuple(range(start, end) for start, end in pairwise((0, *cuts, queries)))
