"""Ranges hold what a set of numbers would, in as few pieces as there can be."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from host.board.ranges import Ranges

PAIRS = st.tuples(st.integers(0, 40), st.integers(0, 40))


@given(st.lists(PAIRS, max_size=12), PAIRS)
def test_ranges_are_a_set(added: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    ranges, numbers = Ranges(), set[int]()
    for start, stop in added:
        ranges.add(start, stop)
        numbers |= set(range(start, stop))
    assert {number for start, stop in ranges for number in range(start, stop)} == numbers
    missing = ranges.missing(*asked)
    assert {number for start, stop in missing for number in range(start, stop)} == set(range(*asked)) - numbers
    for pieces in (list(ranges), missing):  # sorted, not empty, not touching
        assert all(start < stop for start, stop in pieces)
        assert all(before[1] < after[0] for before, after in pairwise(pieces))


def test_cleared_ranges_are_empty() -> None:
    ranges = Ranges()
    ranges.add(1, 5)
    ranges.clear()
    assert list(ranges) == []
    assert ranges.missing(0, 9) == [(0, 9)]
