"""The table of what was shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from trainer.examples.shown import Shown
from trainer.scoring import Presentations

COLUMNS = ("correct", "loss", "attention_variance")


@pytest.mark.parametrize("n", [1, 50])
def test_rows_come_back_in_order_and_to_the_bit(presentations: Callable[..., Any], n: int) -> None:
    shown, random, expected = Shown(COLUMNS, n), np.random.default_rng(0), []
    for size in (3, 1, 0, 40, 7):
        columns = {"correct": random.random(size) < 0.5, "loss": random.normal(size=size).astype(np.float32)}
        columns["attention_variance"] = random.random(size).astype(np.float32)
        expected.append({"indices": random.integers(0, 2**31, size)} | columns)
        shown.append(presentations(**expected[-1]))
    assert shown.gathered().shape == (51, 4)
    rows = shown.take()
    assert shown.take()["loss"].size == 0
    assert rows["indices"].dtype == np.int64
    for name in ("indices", *COLUMNS):
        np.testing.assert_array_equal(rows[name], np.concatenate([batch[name] for batch in expected]))
        assert rows[name].dtype == expected[0][name].dtype


def test_appending_does_not_wait_for_the_device() -> None:
    """A tensor on `meta` has no values: whatever looked at one would fail."""
    shown = Shown(COLUMNS, 4)
    for _ in range(5):
        columns = {name: torch.empty(6, device="meta") for name in Presentations.__dataclass_fields__}
        shown.append(Presentations(**columns | {"correct": torch.empty(6, device="meta", dtype=torch.bool)}))


def test_half_precision_is_kept_as_float32(presentations: Callable[..., Any]) -> None:
    shown = Shown(("loss",), 2)
    shown.append(replace(presentations([0, 1]), loss=torch.tensor([0.5, 3.0], dtype=torch.bfloat16)))
    assert shown.take()["loss"].tolist() == [0.5, 3.0]
