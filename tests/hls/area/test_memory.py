"""Packing of arrays into block RAM: counted by hand from the shapes of RAMB36E2 and RAMB18E2 (UG573)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hls.area.memory import BRAM36_BITS, Array, Kind, bram36, fifo, lutram, uram
from hls.spec.devices import Resources


@pytest.mark.parametrize(
    "depth, width, both, expected",
    [
        (512, 72, False, 1),
        (512, 36, False, 0.5),
        (1024, 36, False, 1),
        (1024, 16, False, 0.5),
        (1024, 16, True, 0.5),
        (512, 72, True, 2),  # two full ports: no shape is wider than 36
        (2048, 18, False, 1),
        (4096, 9, False, 1),
        (4096, 16, False, 2),
        (32768, 1, False, 1),
        (10922, 16, False, 5.5),  # eleven RAMB18 of 1024 x 18
        (512, 128, False, 2),
        (1024, 128, False, 4),
        (240, 48, False, 1),
        (1, 1, False, 0.5),
    ],
)
def test_blocks_of_a_memory(depth: int, width: int, both: bool, expected: float) -> None:
    assert bram36(depth, width, both) == expected


@given(st.integers(1, 70_000), st.integers(1, 600), st.booleans())
def test_blocks_hold_the_bits_and_grow_with_them(depth: int, width: int, both: bool) -> None:
    blocks = bram36(depth, width, both)
    assert blocks * BRAM36_BITS >= depth * width
    assert bram36(depth + 1, width, both) >= blocks <= bram36(depth, width + 1, both)
    assert bram36(depth, width, True) >= bram36(depth, width, False)


@pytest.mark.parametrize(
    "depth, width, expected", [(4096, 72, 1), (1, 1, 1), (4097, 72, 2), (4096, 73, 2), (3600, 488, 7), (9850, 20, 3)]
)
def test_ultra_ram_has_one_shape(depth: int, width: int, expected: int) -> None:
    assert uram(depth, width) == expected


@pytest.mark.parametrize("bound, holds", [("srl", "lut"), ("bram", "bram36"), ("uram", "uram"), ("", "bram36")])
def test_a_fifo_lies_where_it_is_bound_and_long_ones_in_block_rams(bound: str, holds: str) -> None:
    """Of 256 words of 128 bits: eight shift registers a bit, two block RAMs or two URAM."""
    found = fifo(256, 128, bound)
    assert found.bram36 == (2 if holds == "bram36" else 0)
    assert found.uram == (2 if holds == "uram" else 0)
    assert (found.lut >= 8 * 128) == (holds == "lut")


def test_distributed_memory() -> None:
    assert lutram(32, 14) == 8  # one RAM32M16
    assert lutram(64, 7) == 8  # one RAM64M8
    assert lutram(32, 128) == 80
    assert lutram(256, 8, is_rom=True) == 32


@pytest.mark.parametrize(
    "array, kind, bram, lut, ff",
    [
        (Array("panel", 16, (4096, 24), {1: ("complete", 1)}), Kind.BLOCK, 48, 0, 0),
        (Array("tile", 16, (1024, 64), {1: ("complete", 1)}, copies=2), Kind.BLOCK, 64, 0, 0),
        (Array("word", 16, (256, 8), {1: ("complete", 1)}, reshaped=frozenset({1})), Kind.BLOCK, 2, 0, 0),
        (Array("registers", 48, (4, 8), {0: ("complete", 1), 1: ("complete", 1)}), Kind.REGISTERS, 0, 0, 1536),
        (Array("small", 32, (32,)), Kind.DISTRIBUTED, 0, 24, 16),
        (Array("copied", 128, (512,), binding="ram_1wnr", implementation="bram", reads=4), Kind.BLOCK, 8, 0, 0),
        (Array("queue", 64, (1024,), fifo_depth=512), Kind.FIFO, 1, 30, 94),
    ],
    ids=lambda value: value.name if isinstance(value, Array) else "",
)
def test_resources_of_an_array(array: Array, kind: Kind, bram: float, lut: float, ff: float) -> None:
    found = array.resources()
    assert (array.kind, found.bram36, found.lut, found.ff) == (kind, bram, lut, ff)


def test_an_array_in_ultra_ram_takes_no_block_ram() -> None:
    array = Array("map", 20, (9850, 4), {1: ("complete", 1)}, binding="ram_s2p", implementation="uram")
    assert (array.kind, array.resources()) == (Kind.ULTRA, Resources(uram=12))


def test_more_accesses_than_ports_are_a_fault() -> None:
    assert not list(Array("a", 16, (1024,), reads=1, writes=1, together=2).faults())
    assert "two ports" in next(Array("a", 16, (1024,), reads=2, writes=1, together=3).faults())


@pytest.mark.parametrize(
    "readers, writers, copies, lut",
    [
        ("a", "a", 1, 0),
        ("ab", "a", 1, 48 * 11 / 2),
        ("a", "abc", 1, 48 * (11 + 16 + 1)),
        ("a", "abcde", 1, 48 * 2 * (11 + 16 + 1)),
        ("b", "a", 2, 0),  # a channel between tasks has a port for each side
    ],
)
def test_functions_that_share_a_memory_take_multiplexers(readers: str, writers: str, copies: int, lut: float) -> None:
    array = Array("panel", 16, (48, 1728), {0: ("complete", 1)}, copies=copies)
    array.readers, array.writers = set(readers), set(writers)
    assert array.port_multiplexers() == lut
