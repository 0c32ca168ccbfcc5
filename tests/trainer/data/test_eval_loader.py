"""Evaluation counts each image exactly once, for any number of ranks and any batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.datasets import open_dataset
from trainer.data.evaluation import EvalLoader, hits

# Python 3.12 warns of fork beside threads, which is how torch starts its data-loading processes.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@given(st.integers(1, 60), st.integers(1, 7), st.integers(1, 5))
def test_each_image_is_counted_once_over_all_ranks(toy_set, n, batch, world):
    dataset = toy_set(n)
    seen, lengths = [], set()
    for rank in range(world):
        loader = EvalLoader(dataset, batch, rank, world)
        lengths.add(len(loader))
        batches = list(loader)
        assert len(batches) == len(loader)
        for images, labels, mask in batches:
            assert len(images) == len(labels) == len(mask) == batch
            numbers = (images[:, 0, 0, 0] * 0.25 + 0.5).mul(255).round().long()
            assert torch.equal(numbers % 3, labels)
            seen += numbers[mask].tolist()
    assert sorted(seen) == list(range(n))
    assert len(lengths) == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_pictures_are_cut_at_the_centre_and_normalised(picture_folder, workers):
    dataset = open_dataset(str(picture_folder), "val", 8)
    loader = EvalLoader(dataset, 2, workers=workers)
    ((images, labels, mask),) = list(loader)
    pixels = torch.from_numpy(dataset.read(np.arange(2))).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(value)[:, None, None] for value in (dataset.mean, dataset.std))
    torch.testing.assert_close(images, (pixels - mean) / std)
    assert labels.tolist() == [0, 1]
    assert mask.all()
    loader.close()


def test_hits_of_one_label_and_of_any_of_several():
    logits = torch.tensor([[0.1, 0.5, 0.4], [0.9, 0.0, 0.1], [0.2, 0.3, 0.5]])
    assert hits(logits, torch.tensor([1, 1, 2])).tolist() == [True, False, True]
    assert hits(logits, torch.tensor([2, 1, 0]), k=2).tolist() == [True, False, False]
    assert hits(logits, torch.tensor([[0, 1], [1, 2], [2, -1]])).tolist() == [True, False, True]
    assert hits(logits, torch.tensor([2, 1, 0]), k=5).all()
