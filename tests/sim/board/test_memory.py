"""Contiguous memory and the cache in front of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.board.cache import LINE, CachedMemory
from sim.board.memory import PAGE, ContiguousMemory, OutOfMemoryError

SIZE = 10 * LINE + 7


def ones(count: int, value: int = 1) -> np.ndarray:
    return np.full(count, value, np.uint8)


def test_what_is_not_flushed_is_not_in_ddr() -> None:
    memory = CachedMemory(SIZE)
    memory.write(3, ones(200))
    assert not np.array_equal(memory.ddr[3:203], ones(200))
    memory.flush()
    assert np.array_equal(memory.ddr[3:203], ones(200))


def test_what_the_accelerator_wrote_is_stale_until_invalidated() -> None:
    memory = CachedMemory(SIZE)
    memory.write(0, ones(SIZE))
    memory.flush()
    memory.ddr[:] = 2
    assert np.array_equal(memory.read(0, SIZE), ones(SIZE))
    memory.invalidate()
    assert np.array_equal(memory.read(0, SIZE), ones(SIZE, 2))


def test_a_dirty_line_takes_its_neighbours_along() -> None:
    memory = CachedMemory(LINE)
    memory.write(0, ones(LINE))
    memory.flush()
    memory.ddr[:] = 2  # the accelerator's results
    memory.write(0, ones(1, 3))
    memory.flush()
    assert list(memory.ddr[:2]) == [3, 1]  # a whole line went out: the accelerator's byte beside it is lost


def test_an_invalidate_loses_what_was_not_flushed() -> None:
    memory = CachedMemory(LINE)
    memory.write(0, ones(LINE))
    memory.invalidate()
    assert memory.read(0, 1)[0] == 0xA5


@given(st.data())
def test_without_an_accelerator_the_cache_is_not_seen(data: st.DataObject) -> None:
    memory, plain = CachedMemory(SIZE), ones(SIZE, 0xA5)
    for step in range(data.draw(st.integers(1, 12))):
        start = data.draw(st.integers(0, SIZE - 1))
        stop = data.draw(st.integers(start + 1, SIZE))
        memory.write(start, ones(stop - start, step))
        plain[start:stop] = step
        if data.draw(st.booleans()):
            memory.flush()
            if data.draw(st.booleans()):
                memory.invalidate()
        start = data.draw(st.integers(0, SIZE - 1))
        assert np.array_equal(memory.read(start, SIZE), plain[start:])
    memory.flush()
    assert np.array_equal(memory.ddr[:SIZE], plain)


def test_memory_ends_and_is_taken_again() -> None:
    memory = ContiguousMemory(10 * PAGE, base=1 << 36)
    names = [memory.allocate(2 * PAGE), memory.allocate(PAGE), memory.allocate(2 * PAGE + 1)]
    addresses = [memory.buffer(name).address for name in names]
    assert addresses[0] == 1 << 36
    assert addresses == sorted(addresses)
    with pytest.raises(OutOfMemoryError, match="contiguous memory"):
        memory.allocate(3 * PAGE)
    memory.release(names[0])
    assert memory.buffer(memory.allocate(PAGE)).address == addresses[0]


def test_ddr_is_found_by_address_within_one_buffer() -> None:
    memory = ContiguousMemory(10 * PAGE)
    first, second = (memory.buffer(memory.allocate(PAGE)) for _ in range(2))
    found = memory.ddr(second.address + 16, 32)
    assert found is not None
    found[:] = 7
    assert second.memory.ddr[16:48].tolist() == [7] * 32
    assert memory.ddr(first.address, 2 * PAGE) is None
    assert memory.ddr(first.address & 0xFFFF_FFFF, 16) is None
