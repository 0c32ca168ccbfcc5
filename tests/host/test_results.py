from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.results import decode_terms, decode_variance


def variance_record(row, fraction):
    """What `class_variance` writes for one map row."""
    count = len(row)
    value = count * sum(m * m for m in row) - sum(row) ** 2
    low = value & 0xFFFFFFFF
    return [low - (1 << 32) if low >> 31 else low, value >> 32, fraction, count, 0, 0, 0, 0]


@given(st.lists(st.integers(0, 6 * 32767), min_size=1, max_size=200), st.integers(-32, 64), st.integers(1, 6))
def test_variances_are_those_of_the_head_mean(row, fraction, heads):
    decoded = decode_variance(np.array([variance_record(row, fraction)], np.int32), heads)
    wanted = np.var(np.array(row) * 2.0**-fraction / heads)
    assert decoded[0] == pytest.approx(wanted, rel=1e-9, abs=1e-12 * (max(row) * 2.0**-fraction) ** 2)


def test_terms_become_losses():
    terms = np.array([[3 << 20, 1 << 15, 7, 1, 0, 0, 0, 0], [1 << 20, 0, 2, 0, 0, 0, 0, 0]], np.int32)
    decoded = decode_terms(terms)
    # numpy's logarithm may differ from libm's in the last bit, by the processor.
    assert decoded.losses.tolist() == pytest.approx([math.log(3) + 0.5, 0.0], rel=1e-15)
    assert decoded.correct.tolist() == [True, False]
    assert decoded.predicted.tolist() == [7, 2]
