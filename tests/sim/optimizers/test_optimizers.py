"""AdamW on the fabric takes the steps of AdamW in floating point."""

from __future__ import annotations

import pytest

from sim.optimizers.__main__ import summary
from sim.optimizers.sequences import step_errors


@pytest.mark.parametrize(
    "kind, step, weights",
    [("gaussian", 0.02, 0.01), ("heavy tails", 0.03, 0.02), ("one in ten", 0.05, 0.03), ("vanishing", 0.03, 0.02)],
)
def test_steps_follow_those_of_float64(kind: str, step: float, weights: float) -> None:
    errors = step_errors(kind, steps=300, elements=500, seed=1)
    assert errors.step < step
    assert errors.weights < weights


def test_the_summary_is_a_table_of_means_over_seeds() -> None:
    row = {"case": "low rate", "dataset": "cifar10", "test_top1": "50", "test_loss": "1.5"}
    exact, other = ({"optimizer": name} for name in ("fp32", "adamw"))
    rows = [
        row | optimizer | {"seed": str(seed), "train_loss": str(seed + 1 + off)}
        for seed in range(2)
        for optimizer, off in ((exact, 0.0), (other, 0.25 * seed))
    ]
    assert summary(rows).splitlines()[2:] == [
        "| low rate | cifar10 | fp32 | 2 | 1.500 ± 0.707 | 1.500 ± 0.000 | 50.0 ± 0.0 | 0.00000 |",
        "| low rate | cifar10 | adamw | 2 | 1.625 ± 0.884 | 1.500 ± 0.000 | 50.0 ± 0.0 | 0.25000 |",
    ]
