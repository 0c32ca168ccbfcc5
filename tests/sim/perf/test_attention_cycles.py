"""Sparse attention is never slower than dense attention, fewer keys and queries are faster, and what the compiler
estimates is near."""

from __future__ import annotations

from functools import cache

import pytest

from hls.spec.ops import BY_NAME
from host.compiler.cycles import AttentionShape, attention
from host.schedules import keys_per_query
from tests.sim.perf.one_instruction import CONFIG, run

PATCHES = 196
RATIOS = (1.0, 0.9, 0.5, 0.4, 0.3, 0.2)


@cache
def cycles(op_name: str, heads: int, ratio: float, first: int = 0, count: int = 1 + PATCHES) -> int:
    """Modelled cycles of one attention instruction at 197 tokens."""
    keys = keys_per_query(PATCHES, ratio)
    sparse = keys is not None and keys < PATCHES
    shape = {"batch": 1, "patches": PATCHES, "heads": heads, "head_dim": 64, "queries": 1 + PATCHES}
    shape |= {"first": first, "count": count, "map_rows": 0, "gap": 0, "skipped": 0}
    shape["key_count"] = keys if sparse else 0
    flags = (("SPARSE",) if sparse else ()) + (("SCORES", "VALUES") if op_name == "attention" else ())
    return run(op_name, flags, {name: shape[name] for name in BY_NAME[op_name].dimensions}).cycles


@pytest.mark.parametrize("heads", [3, 6])
def test_inference_never_costs_more_and_falls_with_the_keys(heads: int) -> None:
    costs = [cycles("attention", heads, ratio) for ratio in RATIOS]
    assert costs == sorted(set(costs), reverse=True)
    assert costs[RATIOS.index(0.5)] < 0.7 * costs[0]


@pytest.mark.parametrize("heads", [3, 6])
def test_training_never_costs_more_and_falls_with_the_keys(heads: int) -> None:
    """Backward alone may cost a little more at 0.9 and few heads: the lists are read once an image."""
    backward = [cycles("attention_backward", heads, ratio) for ratio in RATIOS]
    costs = [cycles("attention", heads, ratio) + cost for ratio, cost in zip(RATIOS, backward, strict=True)]
    assert costs == sorted(set(costs), reverse=True)
    assert max(backward) < 1.02 * backward[0]


@pytest.mark.parametrize("ratio", [1.0, 0.5])
def test_fewer_queries_cost_less(ratio: float) -> None:
    costs = [cycles("attention", 6, ratio, 0, count) for count in (197, 117, 80, 40)]
    assert costs == sorted(set(costs), reverse=True)
    assert cycles("attention", 6, ratio, 80, 117) == pytest.approx(costs[1], rel=0.02)


@pytest.mark.parametrize("count", [40, 80, 117, 197])
@pytest.mark.parametrize("ratio", [1.0, 0.6])
@pytest.mark.parametrize("heads", [2, 6])
def test_what_the_compiler_estimates_is_near(heads: int, ratio: float, count: int) -> None:
    keys = keys_per_query(PATCHES, ratio) or PATCHES
    shape = AttentionShape(1 + PATCHES, count, 1 + min(keys, PATCHES), 64 * heads, 64)
    assert attention(CONFIG, heads, shape) == pytest.approx(cycles("attention", heads, ratio, 0, count), rel=0.15)
