"""Which heads of an image go together, so that attention of some hides the projections of the next ones, or whether the
two passes of attention go apart, so that each hides something.

The first group's projections and the last group's attention have nothing beside them; in between the longer of both
counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from hls.spec.config import HardwareConfig
from hls.spec.pieces import PARTS
from host.compiler.cycles import AttentionShape, attention, map_rows, projections

Groups = tuple[range, ...]


@dataclass(frozen=True)
class Way:
    """How projections and attention follow each other, and its cycles: groups of heads, or all heads in two passes."""

    cycles: float
    heads: Groups
    by_passes: bool = False


def fastest_way(
    config: HardwareConfig, heads: int, images: int, shape: AttentionShape, mapped: int, choosing: float
) -> Way:
    """The fastest way up to the next selector's choice, which takes so many cycles.

    Heads lie side by side only in a single image, and a map (of so many rows of each image's) is a sum over all.
    """
    everything = (range(heads),)
    ways = [
        Way(one_group(config, heads, images, shape) + choosing, everything),
        Way(passes_apart(config, heads, images, shape, mapped, choosing), everything, by_passes=True),
    ]
    if images == 1 and not mapped:
        cycles, groups = head_groups(config, heads, shape)
        ways.append(Way(cycles + choosing, groups))
    return min(ways, key=lambda way: way.cycles)


def head_groups(config: HardwareConfig, heads: int, shape: AttentionShape) -> tuple[float, Groups]:
    """The fastest way to cut `heads` heads: its cycles, and ranges of heads in order, one where nothing is gained."""

    @cache
    def best(first: int, count: int) -> tuple[float, Groups]:
        """Cycles from the start of attention of `count` heads from `first` on, and the groups behind them."""
        own, end = attention(config, count, shape) if count else 0.0, first + count
        ways: list[tuple[float, Groups]] = [(own, ())] if end == heads else []
        for size in range(1, heads - end + 1):
            rest, groups = best(end, size)
            cycles = max(own, projections(config, size, shape)) + rest
            ways.append((cycles, (range(end, end + size), *groups)))
        return min(ways, key=lambda way: (way[0], len(way[1])))

    return best(0, 0)


def one_group(config: HardwareConfig, heads: int, images: int, shape: AttentionShape) -> float:
    """Cycles of the projections of some images, then their attention."""
    rows = replace(shape, tokens=images * shape.tokens)
    return projections(config, heads, rows) + attention(config, images * heads, shape)


def passes_apart(
    config: HardwareConfig, heads: int, images: int, shape: AttentionShape, mapped: int, choosing: float
) -> float:
    """Cycles with values made beside the scores, and the selector's choice (so many cycles) beside the sums of values.
    Nothing hides then that the scores end with `mapped` rows of an image's map."""
    rows = replace(shape, tokens=images * shape.tokens)
    values = attention(config, images * heads, shape, passes=1)
    scores = values + images * map_rows(config, mapped, shape)
    apart = projections(config, heads, rows, parts=PARTS - 1)
    return apart + max(scores, projections(config, heads, rows, parts=1)) + max(values, choosing)
