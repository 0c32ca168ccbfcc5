"""The rounding rule and its helpers against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hls.spec import formats, tables
from hls.spec.slots import F_MAX, F_MIN, updated_fraction

values = st.integers(-(2**47), 2**47)


@given(values, st.integers(1, 62))
def test_a_right_shift_rounds_half_up(value: int, shift: int) -> None:
    assert formats.round_shift(value, shift) == floor(Fraction(value, 2**shift) + Fraction(1, 2))


@given(values, st.integers(0, 80), st.sampled_from([16, 32]))
def test_requantise_saturates_what_does_not_fit(value: int, left: int, bits: int) -> None:
    exact = value * 2**left
    assert formats.requantise(value, -left, bits) == formats.saturate(exact, bits)


@given(values, st.integers(63, 200))
def test_a_long_right_shift_gives_zero(value: int, shift: int) -> None:
    assert formats.round_shift(value, shift) == 0


@given(values)
def test_bit_length_bounds_the_magnitude(value: int) -> None:
    length = formats.bit_length(value)
    assert -(2**length) <= value < 2**length
    assert length == 0 or not -(2 ** (length - 1)) <= value < 2 ** (length - 1)


@given(st.lists(st.integers(-32, 64), min_size=1, max_size=3))
def test_segments_lose_nothing_unless_they_are_far_apart(fractions: list[int]) -> None:
    common = formats.reference_fraction(fractions)
    if max(fractions) - min(fractions) <= formats.MAX_SEGMENT_SPREAD:
        assert common == max(fractions)
    assert all(common - f <= formats.MAX_SEGMENT_SPREAD for f in fractions)


@given(st.floats(1e-12, 1e12))
def test_scale_mantissa_keeps_sixteen_bits(value: float) -> None:
    mantissa, shift = formats.scale_mantissa(value)
    assert 2**15 <= mantissa < 2**16
    assert abs(mantissa * 2.0**-shift / value - 1) < 2**-15


def test_a_scale_must_be_positive() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        formats.scale_mantissa(0.0)


@given(st.lists(st.integers(-127, 127), min_size=1, max_size=16), st.sampled_from([15, 31]), st.integers(0, 8))
def test_updated_fraction_fits_the_largest_peak(history: list[int], bits: int, margin: int) -> None:
    fraction = updated_fraction(history, bits, margin)
    assert F_MIN <= fraction <= F_MAX
    if F_MIN < fraction < F_MAX:
        assert max(history) + fraction == bits - margin


def test_the_frozen_tables_are_those_of_the_formulas() -> None:
    assert tables.load() == tables.compute()
