"""Small runs of the training program, inside the test's process."""

from __future__ import annotations

import pytest
import torch

from trainer.data.batch import MixedBatch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def batch() -> MixedBatch:
    """Twelve mixed images of 8 x 8 pixels in one channel, ten classes."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 10, (12,), generator=generator)
    return MixedBatch(
        images=torch.randn(12, 1, 8, 8, generator=generator),
        labels=labels,
        other_labels=labels.flip(0),
        share=torch.rand(12, generator=generator),
        indices=torch.arange(12),
        other_indices=torch.arange(12).flip(0),
        weights=torch.rand(12, generator=generator),
    )
