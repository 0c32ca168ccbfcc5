"""The window against a cache that hides every forgotten flush and invalidate."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.board.window import LINE, Range, Sync, WholeSync, Window, XrtSync
from sim.board.cache import CachedMemory

SIZE = 12 * LINE + 16


class Board:
    """A buffer as XRT has it: the processor's view is an array, `sync` moves lines of it."""

    def __init__(self, size: int) -> None:
        self.memory = CachedMemory(size)
        self.array = self.memory._cache[:size]  # a cacheable mapping: nothing in between
        self.nbytes = size
        self.bo = self
        self.moved: list[tuple[str, int, int]] = []

    def sync(self, direction: str, size: int, offset: int) -> None:
        self.moved.append((direction, offset, offset + size))
        part = slice(offset, offset + size)
        if direction == "to":
            self.memory.ddr[part] = self.array[part]
        else:
            self.array[part] = self.memory.ddr[part]

    def flush(self) -> None:
        self.sync("to", self.nbytes, 0)

    def invalidate(self) -> None:
        self.sync("from", self.nbytes, 0)


DIRECTIONS = SimpleNamespace(XCL_BO_SYNC_BO_TO_DEVICE="to", XCL_BO_SYNC_BO_FROM_DEVICE="from")


def ranged(board: Board) -> Sync:
    return XrtSync(board, DIRECTIONS)


def whole(board: Board) -> Sync:
    return WholeSync(board)


@pytest.mark.parametrize("make", [ranged, whole])
@given(data=st.data())
def test_host_and_accelerator_see_one_memory(make: object, data: st.DataObject) -> None:
    board = Board(SIZE)
    window = Window(board.array, make(board))  # type: ignore[operator]
    truth = np.zeros(SIZE, np.uint8)
    for step in range(1, data.draw(st.integers(1, 10)) + 1):
        start = data.draw(st.integers(0, SIZE - 1))
        stop = data.draw(st.integers(start, SIZE))
        action = data.draw(st.sampled_from(["write", "read", "run"]))
        if action == "write":
            window.write(start, np.full(stop - start, step, np.uint8))
            truth[start:stop] = step
        elif action == "read":
            assert np.array_equal(window.read(start, stop), truth[start:stop])
        else:
            window.publish()
            assert np.array_equal(board.memory.ddr[:SIZE], truth)
            board.memory.ddr[start:stop] = truth[start:stop] = 100 + step
            window.expire()
    assert np.array_equal(window.read(0, SIZE), truth)


def test_exactly_what_changed_is_moved() -> None:
    board = Board(SIZE)
    window = Window(board.array, ranged(board))
    window.publish()
    window.expire()
    board.moved.clear()
    window.write(2 * LINE, np.ones(3 * LINE, np.uint8))
    window.write(7 * LINE, np.ones(LINE, np.uint8))
    window.publish()
    assert board.moved == [("to", 2 * LINE, 5 * LINE), ("to", 7 * LINE, 8 * LINE)]
    window.expire()
    board.moved.clear()
    window.read(LINE + 1, 3 * LINE - 1)
    window.read(2 * LINE, 4 * LINE)
    assert board.moved == [("from", LINE, 3 * LINE), ("from", 3 * LINE, 4 * LINE)]
    board.moved.clear()
    window.write(9 * LINE + 8, np.ones(8, np.uint8))  # the rest of the line goes out with it, so it has to be known
    window.publish()
    assert board.moved == [("from", 9 * LINE, 10 * LINE), ("to", 9 * LINE, 10 * LINE)]
    board.moved.clear()
    window.publish()
    assert board.moved == []


def test_an_empty_write_moves_nothing() -> None:
    board = Board(SIZE)
    window = Window(board.array, ranged(board))
    window.publish()
    window.expire()
    board.moved.clear()
    window.write(5, np.zeros(0, np.uint8))
    window.publish()
    assert board.moved == []


def _ranges_of(moved: Sequence[tuple[str, int, int]]) -> list[Range]:
    return [(start, stop) for _, start, stop in moved]


def test_the_first_publish_moves_everything() -> None:
    board = Board(SIZE)
    Window(board.array, ranged(board)).publish()
    assert _ranges_of(board.moved) == [(0, SIZE)]
    assert not board.memory.ddr[:SIZE].any()
