"""Golden model against float64: the table, and that small models stay within the tolerances."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hls.spec.config import load
from host.model import Sparsity, ViTConfig
from sim.parity.float_comparison import Likeness, compare_with_float, likeness
from sim.workload import random_batch

MODEL = ViTConfig("small", image_size=20, patch_size=4, channels=3, dim=36, depth=4, heads=3, mlp_hidden=40, classes=7)


@pytest.mark.parametrize(
    "value, reference, expected",
    [
        ([3.0, 4.0], [3.0, 4.0], Likeness(0.0, 1.0)),
        ([6.0, 8.0], [3.0, 4.0], Likeness(1.0, 1.0)),
        ([4.0, -3.0], [3.0, 4.0], Likeness(2**0.5, 0.0)),
        ([0.0, 0.0], [0.0, 0.0], Likeness(0.0, 1.0)),
        ([1.0, 0.0], [0.0, 0.0], Likeness(float("inf"), 0.0)),
    ],
)
def test_likeness(value: list[float], reference: list[float], expected: Likeness) -> None:
    found = likeness(np.array(value), np.array(reference))
    assert found.error == pytest.approx(expected.error)
    assert found.cosine == pytest.approx(expected.cosine)


def test_tolerances_are_those_stated() -> None:
    assert Likeness(0.0099, 0.99991).passes
    assert not Likeness(0.0101, 0.99991).passes
    assert not Likeness(0.0099, 0.9999).passes


@pytest.mark.parametrize(
    "sparsity",
    [Sparsity(1.0, 1.0), Sparsity(0.7, 0.5, (2, 4)), Sparsity(1.0, 0.4, (2,)), Sparsity(0.6, 1.0, (3,))],
    ids=["dense", "both", "attention", "tokens"],
)
def test_small_models_are_close_to_float(sparsity: Sparsity, capsys: pytest.CaptureFixture[str]) -> None:
    batches = (random_batch(MODEL, 2, seed) for seed in itertools.count())
    assert compare_with_float(load("toy"), MODEL, sparsity, batches, steps=2, seed=1)
    printed = capsys.readouterr().out
    for text in ("at initialisation", "after 2 steps", "blocks.3.out", "gradient of head.weight", "all within"):
        assert text in printed
