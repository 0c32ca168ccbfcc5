"""What a presentation says of an example, on plain and on mixed images."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from torch import Tensor

from trainer.data.batch import MixedBatch
from trainer.scoring import Presentations, score


def mixed(labels: Tensor, other_labels: Tensor, share: Tensor) -> MixedBatch:
    slots = torch.arange(len(labels))
    return MixedBatch(torch.empty(len(labels), 3, 1, 1), labels, other_labels, share, slots, slots + 100)


def soft_labels(batch: MixedBatch, classes: int) -> Tensor:
    one, other = (F.one_hot(labels, classes).float() for labels in (batch.labels, batch.other_labels))
    return batch.share[:, None] * one + (1 - batch.share[:, None]) * other


@st.composite
def mixed_batches(draw: st.DrawFn) -> tuple[MixedBatch, int]:
    classes, size = draw(st.integers(2, 6)), draw(st.integers(1, 8))
    label = st.integers(0, classes - 1)
    columns = (st.lists(label, min_size=size, max_size=size), st.lists(label, min_size=size, max_size=size))
    labels, others = (torch.tensor(draw(column)) for column in columns)
    share = draw(st.lists(st.sampled_from([0.0, 0.01, 0.3, 0.5, 0.7, 1.0]), min_size=size, max_size=size))
    return mixed(labels, others, torch.tensor(share)), classes


@given(mixed_batches())
def test_a_perfect_model_is_always_right(given_batch: tuple[MixedBatch, int]) -> None:
    batch, classes = given_batch
    shown = score(soft_labels(batch, classes).log(), batch, torch.zeros(len(batch)))
    assert shown.correct.all()
    assert torch.equal(shown.probability, torch.ones(len(batch)))
    assert shown.loss.abs().max() == 0
    assert shown.error_norm.max() == 0


@given(mixed_batches(), st.integers(0, 1000))
def test_it_is_right_exactly_when_only_the_partner_beats_it(given_batch: tuple[MixedBatch, int], seed: int) -> None:
    batch, classes = given_batch
    logits = torch.randn(len(batch), classes, generator=torch.Generator().manual_seed(seed))
    shown = score(logits, batch, torch.arange(len(batch)))
    for slot in range(len(batch)):
        share = float(batch.share[slot])
        sides = [(batch.indices, batch.labels), (batch.other_indices, batch.other_labels)]
        main, partner = sides if share >= 0.5 else sides[::-1]
        label, other = int(main[1][slot]), int(partner[1][slot])
        rivals = set(range(classes)) - {label} - ({other} if 0 < share < 1 else set())
        assert shown.indices[slot] == main[0][slot]
        assert shown.correct[slot] == all(logits[slot, label] >= logits[slot, rival] for rival in rivals)
    assert torch.equal(shown.attention_variance, torch.arange(len(batch)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_an_unmixed_image_is_scored_as_always(dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(1)
    logits = torch.randn(32, 7, generator=random).to(dtype).requires_grad_()
    labels, others = torch.randint(7, (2, 32), generator=random)
    shown = score(logits, mixed(labels, others, torch.ones(32)), torch.rand(32))
    plain = logits.detach().float()
    assert torch.equal(shown.indices, torch.arange(32))
    assert torch.equal(shown.correct, plain.argmax(1) == labels)
    torch.testing.assert_close(shown.loss, F.cross_entropy(plain, labels, reduction="none"))
    torch.testing.assert_close(shown.probability, plain.softmax(1)[range(32), labels])
    torch.testing.assert_close(shown.error_norm, (plain.softmax(1) - F.one_hot(labels, 7)).norm(dim=1))
    assert not any(getattr(shown, name).requires_grad for name in Presentations.__dataclass_fields__)


def test_a_confident_mistake_has_the_largest_error() -> None:
    label = torch.tensor([0])
    shown = score(torch.tensor([[0.0, 50.0]]), mixed(label, label, torch.ones(1)), torch.ones(1))
    assert shown.error_norm.item() == pytest.approx(math.sqrt(2))


def test_nothing_waits_for_the_device() -> None:
    """A tensor on `meta` has no values: whatever looked at one would fail."""
    batch = mixed(*torch.zeros(2, 4, dtype=torch.int64), torch.ones(4))
    batch = MixedBatch(**{name: column.to("meta") for name, column in vars(batch).items() if column is not None})
    assert score(torch.empty(4, 3, device="meta"), batch, torch.empty(4, device="meta")).correct.shape == (4,)


class Forgets:
    def __init__(self, n: int) -> None:
        self.last, self.events = np.zeros(n, bool), np.zeros(n, int)

    def see(self, index: np.ndarray, right: np.ndarray) -> None:
        self.events[index] += self.last[index] & ~right
        self.last[index] = right


@pytest.mark.parametrize("strongest", [4.0, 8.0])
@pytest.mark.parametrize("seed", range(2))
def test_forgetting_goes_with_difficulty_and_not_with_ease(seed: int, strongest: float) -> None:
    """A simulated model that knows easy examples well, trained with mixup.

    Under the rule of the authors' code (the largest logit of the mixed image against the slot's own label) the easy
    examples are forgotten whenever their share is small, so ease and forgetting go together.
    """
    n, classes, random = 1500, 10, np.random.default_rng(seed)
    labels, strength = random.integers(0, classes, n), random.uniform(0, strongest, n)
    ours, theirs = Forgets(n), Forgets(n)
    for _ in range(60):
        slots = random.permutation(n)
        partners, share = slots[::-1], random.beta(0.8, 0.8)
        logits = random.normal(size=(n, classes))
        logits[np.arange(n), labels[slots]] += share * strength[slots]
        logits[np.arange(n), labels[partners]] += (1 - share) * strength[partners]
        columns = (labels[slots], labels[partners], np.full(n, share, np.float32), slots, partners)
        batch = MixedBatch(torch.empty(n, 0), *(torch.from_numpy(column.copy()) for column in columns))
        shown = score(torch.from_numpy(logits), batch, torch.zeros(n))
        ours.see(shown.indices.numpy(), shown.correct.numpy())
        theirs.see(slots, logits.argmax(1) == labels[slots])
    assert spearmanr(ours.events, strength).statistic < -0.05
    assert spearmanr(theirs.events, strength).statistic > 0.05
