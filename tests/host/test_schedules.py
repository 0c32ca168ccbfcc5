"""Learning rates as timm's, keep ratios as the paper's, counts free of float noise."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.errors import PeelVitError
from host.schedules import ConstantRate, CosineRate, KeepRatio, check_ratio, kept_count, keys_per_query, token_counts

ratios = st.floats(0.0, 1.0, exclude_min=True)


def timm_rate(step: int, *, base: float, total: int, warmup: int, start: float, minimum: float) -> float:
    """`CosineLRScheduler._get_lr` of timm 1.0.31 with one cycle, no decay and warmup_prefix=False."""
    if step < warmup:
        return start + step * ((base - start) / warmup)
    if step // total >= 1:
        return minimum
    return minimum + 0.5 * (base - minimum) * (1 + math.cos(math.pi * step / total))


@given(
    base=st.floats(1e-6, 1.0),
    total=st.integers(1, 1000),
    warmup_part=st.floats(0, 1),
    start_part=st.floats(0, 1),
    minimum_part=st.floats(0, 1),
    step=st.integers(0, 1100),
)
def test_cosine_rate_is_timms(
    base: float, total: int, warmup_part: float, start_part: float, minimum_part: float, step: int
) -> None:
    warmup, start, minimum = int(total * warmup_part), base * start_part, base * minimum_part
    rate = CosineRate(base, total, warmup, start, minimum)
    expected = timm_rate(step, base=base, total=total, warmup=warmup, start=start, minimum=minimum)
    assert rate(step) == pytest.approx(expected, rel=1e-12, abs=1e-18)


def test_cosine_rate_of_the_deit_recipe() -> None:
    """Figures printed by timm 1.0.31 for 300 epochs of 10 updates."""
    rate = CosineRate(5e-4, 3000, 50, 1e-6, 1e-5)
    expected = {
        0: 1e-06,
        1: 1.098e-05,
        49: 0.00049002,
        50: 0.0004996642360148705,
        1500: 0.000255,
        2999: 1.0000134336269841e-05,
    }
    assert {step: rate(step) for step in expected} == pytest.approx(expected, rel=1e-9)
    assert rate(3000) == rate(10**6) == 1e-5


def test_constant_rate_warms_up_and_stays() -> None:
    rate = ConstantRate(0.8, warmup_steps=4, warmup_start=0.0)
    assert [rate(step) for step in range(6)] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 0.8])
    assert ConstantRate(0.1)(0) == 0.1


@given(target=ratios, start=st.integers(0, 50), length=st.integers(0, 200))
def test_keep_ratio_falls_from_one_to_target(target: float, start: int, length: int) -> None:
    ratio = KeepRatio(target, start, start + length)
    values = [ratio(step) for step in range(start + length + 3)]
    assert all(value == 1.0 for value in values[: start if length else 0])
    assert values[start + length :] == [target] * 3
    assert all(later <= earlier + 1e-15 for earlier, later in itertools.pairwise(values))
    assert all(target <= value <= 1.0 or value == pytest.approx(target) for value in values)


def test_keep_ratio_halfway_and_between_epochs() -> None:
    ratio = KeepRatio.between_epochs(0.7, start=10, end=110, steps_per_epoch=7)
    assert (ratio.start_step, ratio.end_step) == (70, 770)
    assert ratio(70) == 1.0
    assert ratio(420) == pytest.approx(0.85)
    assert ratio(770) == 0.7


@pytest.mark.parametrize(
    ("total", "ratio", "count"),
    [
        (10, 0.7, 7),
        (100, 0.07, 7),
        (100, 0.29, 29),
        (30, 0.1, 3),
        (196, 0.7, 138),
        (1, 0.01, 1),
        (0, 0.5, 0),
        (5, 1.0, 5),
    ],
)
def test_kept_count_examples(total: int, ratio: float, count: int) -> None:
    assert kept_count(total, ratio) == count


@given(total=st.integers(1, 2_000_000), numerator=st.integers(1, 1000))
def test_kept_count_is_exact_for_decimal_ratios(total: int, numerator: int) -> None:
    assert kept_count(total, numerator / 1000) == math.ceil(Fraction(numerator, 1000) * total)


@given(total=st.integers(1, 5000), ratio=ratios)
def test_counts_stay_in_range(total: int, ratio: float) -> None:
    assert 1 <= kept_count(total, ratio) <= total
    assert keys_per_query(total, ratio) == kept_count(total, ratio)
    assert keys_per_query(total, 1.0) == total


@given(tokens=st.integers(1, 2000), ratio=ratios, selectors=st.integers(0, 12))
def test_token_counts_apply_the_ratio_again_and_again(tokens: int, ratio: float, selectors: int) -> None:
    counts = token_counts(tokens, ratio, selectors)
    assert len(counts) == selectors
    for before, after in zip([tokens, *counts], counts, strict=False):
        assert after == kept_count(before, ratio)


def test_token_counts_of_deit() -> None:
    assert token_counts(196, 0.9, 3) == [177, 160, 144]
    assert token_counts(196, 0.7, 3) == [138, 97, 68]
    assert token_counts(196, 1.0, 3) == [196, 196, 196]


@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.0000001, math.nan, math.inf])
def test_ratios_out_of_range_are_refused(ratio: float) -> None:
    with pytest.raises(PeelVitError, match="above 0 and at most 1"):
        check_ratio(ratio)
    with pytest.raises(PeelVitError, match="attention keep ratio"):
        keys_per_query(10, ratio)
    with pytest.raises(PeelVitError):
        token_counts(10, ratio, 1)
    with pytest.raises(PeelVitError):
        KeepRatio(ratio)


def test_schedules_that_cannot_work_are_refused() -> None:
    with pytest.raises(PeelVitError, match="warm-up"):
        CosineRate(0.1, total_steps=5, warmup_steps=6)
    with pytest.raises(PeelVitError, match="backwards"):
        KeepRatio(0.5, start_step=9, end_step=8)
