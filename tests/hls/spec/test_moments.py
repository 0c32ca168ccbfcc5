"""The codes of AdamW's moments against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hls.spec.formats import EXP_AVG_BITS, EXP_AVG_SQ_BITS, blend, decode_moment, encode_moment

BITS = [EXP_AVG_BITS, EXP_AVG_SQ_BITS]
values = st.integers(0, 2**41)
exponents = st.integers(-80, 80)
shares = st.integers(0, 1 << 16)


def units(number: tuple[int, int]) -> Fraction:
    value, exponent = number
    return value * Fraction(2) ** exponent


@pytest.mark.parametrize("bits", BITS)
def test_every_code_survives_the_round_trip_and_codes_are_in_order(bits: int) -> None:
    decoded = [decode_moment(code) for code in range(1 << bits)]
    assert all(encode_moment(*number, bits) == code for code, number in enumerate(decoded))
    exact = [units(number) for number in decoded]
    assert all(low < high for low, high in pairwise(exact))


@given(values, exponents, st.sampled_from(BITS))
def test_the_nearest_code_is_chosen(value: int, exponent: int, bits: int) -> None:
    exact, code = units((value, exponent)), encode_moment(value, exponent, bits)
    largest = (1 << bits) - 1
    distance = {c: abs(units(decode_moment(c)) - exact) for c in (code - 1, code, code + 1) if 0 <= c <= largest}
    assert distance[code] == min(distance.values())
    if 1024 <= exact <= units(decode_moment(largest)):
        assert distance[code] <= exact / 2**11


@given(values, values, exponents, st.sampled_from(BITS))
def test_encoding_is_monotone(one: int, other: int, exponent: int, bits: int) -> None:
    low, high = sorted((one, other))
    assert encode_moment(low, exponent, bits) <= encode_moment(high, exponent, bits)


@given(st.integers(0, (1 << EXP_AVG_SQ_BITS) - 1), st.integers(2**14, 2**16), exponents, shares)
def test_blending_positive_numbers_is_finer_than_the_code(code: int, new: int, exponent: int, share: int) -> None:
    old = decode_moment(code)
    exact = units(old) + Fraction(share, 1 << 16) * (units((new, exponent)) - units(old))
    largest = max(units(old), units((new, exponent)))
    assert abs(units(blend(old, (new, exponent), share)) - exact) <= largest / 2**22 + Fraction(1, 2**13)


@given(st.integers(0, (1 << EXP_AVG_SQ_BITS) - 1), exponents, shares)
def test_a_gradient_of_zero_lets_the_moment_decay(code: int, exponent: int, share: int) -> None:
    old = decode_moment(code)
    assert units(blend(old, (0, exponent), share)) == units(old) * (1 - Fraction(share, 1 << 16))


@pytest.mark.parametrize("bits", BITS)
def test_what_is_too_large_becomes_the_largest_code(bits: int) -> None:
    assert encode_moment(1, 200, bits) == (1 << bits) - 1
    assert encode_moment(0, 200, bits) == 0
