"""Sets of whole numbers as disjoint ranges: which bytes of a large window were written, or are known."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

Range = tuple[int, int]
"""First number, and the one behind the last."""


class Ranges:
    """A set of numbers as few, sorted ranges: its cost goes with their number, not with the numbers in them."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []

    def __iter__(self) -> Iterator[Range]:
        return iter(list(zip(self._starts, self._stops, strict=True)))

    def add(self, start: int, stop: int) -> None:
        """Add the numbers from `start` to below `stop`, joining ranges that touch."""
        if start >= stop:
            return
        first, behind = bisect_left(self._stops, start), bisect_right(self._starts, stop)
        if first < behind:
            start, stop = min(start, self._starts[first]), max(stop, self._stops[behind - 1])
        self._starts[first:behind], self._stops[first:behind] = [start], [stop]

    def missing(self, start: int, stop: int) -> list[Range]:
        """The parts from `start` to below `stop` that are not in the set."""
        gaps = []
        for index in range(bisect_right(self._stops, start), len(self._starts)):
            if self._starts[index] >= stop:
                break
            if start < self._starts[index]:
                gaps.append((start, self._starts[index]))
            start = self._stops[index]
        if start < stop:
            gaps.append((start, stop))
        return gaps

    def clear(self) -> None:
        """Remove everything."""
        self._starts.clear()
        self._stops.clear()
