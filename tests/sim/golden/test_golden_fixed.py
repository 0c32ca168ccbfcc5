"""The torch primitives against hls.spec.formats, which is their definition."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hls.spec import formats
from hls.spec.slots import EMPTY
from sim.golden import fixed
from sim.golden.slots import Statistics

shifts = st.integers(-200, 200)
values = st.one_of(st.integers(-(1 << 61), 1 << 61), st.integers(-70000, 70000), st.sampled_from([0, -1, 1]))
lists = st.lists(values, min_size=1, max_size=8)


def wrap(value: int) -> int:
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


@given(lists, shifts)
def test_round_shift(numbers: list[int], shift: int) -> None:
    expected = [wrap(formats.round_shift(v, shift)) for v in numbers]
    tensor = torch.tensor(numbers)
    assert fixed.round_shift(tensor, shift).tolist() == expected
    assert fixed.round_shift(tensor, torch.tensor(shift)).tolist() == expected


@given(lists, shifts, st.sampled_from([16, 32]))
def test_requantise(numbers: list[int], shift: int, bits: int) -> None:
    expected = [formats.requantise(v, shift, bits) for v in numbers]
    tensor = torch.tensor(numbers)
    assert fixed.requantise(tensor, shift, bits).tolist() == expected
    assert fixed.requantise(tensor, torch.tensor(shift), bits).tolist() == expected


@given(lists, st.lists(shifts, min_size=8, max_size=8))
def test_a_shift_of_its_own_for_every_row(numbers: list[int], own: list[int]) -> None:
    shift = torch.tensor(own[: len(numbers)])
    pairs = list(zip(numbers, own, strict=False))
    assert fixed.round_shift(torch.tensor(numbers), shift).tolist() == [
        wrap(formats.round_shift(v, s)) for v, s in pairs
    ]
    assert fixed.requantise(torch.tensor(numbers), shift).tolist() == [formats.requantise(v, s) for v, s in pairs]


@given(lists, st.integers(2, 40))
def test_saturate(numbers: list[int], bits: int) -> None:
    assert fixed.saturate(torch.tensor(numbers), bits).tolist() == [formats.saturate(v, bits) for v in numbers]


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=1))
def test_bit_length(numbers: list[int]) -> None:
    assert fixed.bit_length(torch.tensor(numbers)).tolist() == [formats.bit_length(v) for v in numbers]


@given(st.lists(st.tuples(values.map(lambda v: v >> 20), st.integers(-32, 64)), min_size=1, max_size=3))
def test_join(parts: list[tuple[int, int]]) -> None:
    fraction = formats.reference_fraction([f for _, f in parts])
    total, at = fixed.join([(torch.tensor([v]), f) for v, f in parts])
    assert at == fraction
    assert total.item() == wrap(sum(formats.round_shift(v, f - fraction) for v, f in parts))


def test_products_are_exact_at_the_ends_of_the_range() -> None:
    a = torch.full((1, 8192), -32768, dtype=torch.int16)
    assert fixed.exact_matmul(a, a.T).item() == 8192 << 30
    b = torch.tensor([[32767] * 8191 + [1]], dtype=torch.int16)
    assert fixed.exact_matmul(b, b.T).item() == 8191 * 32767**2 + 1


@given(lists, st.integers(-96, 140), st.integers(-32, 64), st.sampled_from([16, 32]))
def test_store(numbers: list[int], fraction: int, f: int, bits: int) -> None:
    expected = [formats.requantise(v, fraction - f, bits) for v in numbers]
    lengths = [formats.bit_length(v) for v in numbers]
    peak = max((max(-127, min(127, n - fraction)) for n in lengths if n), default=EMPTY)
    exact = [(v << (f - fraction)) if f > fraction else formats.round_shift(v, fraction - f) for v in numbers]
    saturations = sum(abs(v) > formats.limit(bits) for v in exact)
    for tensor, at in (
        (torch.tensor(numbers), fraction),
        (torch.tensor(numbers)[:, None], torch.full((len(numbers), 1), fraction)),
    ):
        mantissas, statistics = fixed.store(tensor, at, f, bits)
        assert mantissas.dtype == {16: torch.int16, 32: torch.int32}[bits]
        assert mantissas.flatten().tolist() == expected
        assert statistics == Statistics(peak, saturations)


def test_a_store_of_nothing_leaves_the_slot_alone() -> None:
    assert fixed.store(torch.zeros(0, 4, dtype=torch.int64), 3, 3)[1] == Statistics()
    assert fixed.store(torch.tensor([0, -1]), 3, 3)[1] == Statistics()


@pytest.mark.parametrize("one, other", [(Statistics(3, 2), Statistics(EMPTY, 5))])
def test_statistics_of_parts_add_up(one: Statistics, other: Statistics) -> None:
    assert one + other == Statistics(3, 7)
