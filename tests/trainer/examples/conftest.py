"""Made-up outcomes for example methods."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from trainer.data.randomness import random_state
from trainer.examples.method import ExampleMethod
from trainer.scoring import Presentations

Show = Callable[..., list[dict[str, np.ndarray]]]


def _outcomes(indices: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Few distinct values, so that ties are common."""
    numbers = random_state(seed, 7).randint(0, 5, (4, len(indices))).astype(np.float32) / 4
    names = ("loss", "probability", "error_norm", "attention_variance")
    correct = random_state(seed, 8).random_sample(len(indices)) < 0.6
    return {"indices": np.asarray(indices), "correct": correct, **dict(zip(names, numbers, strict=True))}


@pytest.fixture
def presentations() -> Callable[..., Presentations]:
    """Presentations of `indices`, with zeros for the columns that are not given."""

    def make(indices: object, **columns: object) -> Presentations:
        index = torch.as_tensor(np.asarray(indices, np.int64))
        zeros = {name: torch.zeros(len(index)) for name in ("loss", "probability", "error_norm", "attention_variance")}
        given = {name: torch.as_tensor(np.asarray(column)) for name, column in columns.items()}
        return Presentations(**({"indices": index, "correct": torch.zeros(len(index)) > 0} | zeros | given))

    return make


@pytest.fixture
def show(presentations: Callable[..., Presentations]) -> Show:
    """Show `method` the steps `start` to `stop` of an epoch, every example `repeats` times; returns the batches."""

    def steps(
        method: ExampleMethod, epoch: int, start: int = 0, stop: int | None = None, repeats: int = 1, batch: int = 7
    ) -> list[dict[str, np.ndarray]]:
        order = np.repeat(method.plan(epoch).order, repeats)
        batches = []
        for step in list(range(-(-len(order) // batch)))[start:stop]:
            batches.append(_outcomes(order[step * batch : (step + 1) * batch], 1000 * epoch + step))
            method.record(presentations(**batches[-1]))
        return batches

    return steps
