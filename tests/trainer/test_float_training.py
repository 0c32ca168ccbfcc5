"""The float trainer: the update rules by hand, the loss by hand, learning, determinism."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from host.errors import PeelVitError
from trainer.float_training import FloatTrainer, smoothed_cross_entropy
from trainer.keep import Counts
from trainer.models.vit import VisionTransformer, VitShape
from trainer.tokens.trilevel import TokenAttentionSelector


@pytest.fixture
def batch(toy_shape: Callable[..., VitShape]) -> tuple[np.ndarray, np.ndarray]:
    """Ten noisy images of five classes, two of each."""
    generator = np.random.default_rng(0)
    labels = np.arange(10) % 5
    prototypes = generator.standard_normal((5, 3, 12, 12))
    return prototypes[labels] + 0.1 * generator.standard_normal((10, 3, 12, 12)), labels


def model_of(toy_shape: Callable[..., VitShape], seed: int = 0) -> VisionTransformer:
    return VisionTransformer(toy_shape(), TokenAttentionSelector((2, 4)), seed=seed).double()


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_loss_by_hand(smoothing: float) -> None:
    logits, labels = [[0.5, -1.0, 2.0], [1.0, 1.0, 0.0]], [2, 0]
    expected = 0.0
    for row, label in zip(logits, labels, strict=True):
        log_sum = math.log(sum(math.exp(x) for x in row))
        for index, x in enumerate(row):
            target = smoothing / 3 + (1 - smoothing) * (index == label)
            expected += target * (log_sum - x) / 2
    loss = smoothed_cross_entropy(torch.tensor(logits, dtype=torch.float64), torch.tensor(labels), smoothing)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_momentum_by_hand(toy_shape: Callable[..., VitShape], batch: tuple[np.ndarray, np.ndarray]) -> None:
    rates, momentum, decay = [0.1, 0.03, 0.2], 0.9, 0.05
    trained, by_hand = model_of(toy_shape), model_of(toy_shape)
    trainer = FloatTrainer(trained, rates.__getitem__, momentum=momentum, weight_decay=decay, label_smoothing=0.1)
    velocity = {name: torch.zeros_like(w) for name, w in by_hand.named_parameters()}
    images, labels = torch.tensor(batch[0]), torch.tensor(batch[1])
    for rate in rates:
        trainer.step(*batch, Counts((6, 3), (4, 2)))
        loss = smoothed_cross_entropy(by_hand(images, Counts((6, 3), (4, 2))).logits, labels, 0.1)
        gradients = torch.autograd.grad(loss, list(by_hand.parameters()))
        for (name, w), g in zip(by_hand.named_parameters(), gradients, strict=True):
            decayed = w.ndim > 1 and name not in ("cls_token", "pos_embed")
            velocity[name] = momentum * velocity[name] + g + (decay * w.data if decayed else 0)
            w.data -= rate * velocity[name]
    for (name, w), reference in zip(trained.named_parameters(), by_hand.parameters(), strict=True):
        assert torch.allclose(w, reference, atol=1e-12), name


def test_adamw_decays_matrices_only(toy_shape: Callable[..., VitShape], batch: tuple[np.ndarray, np.ndarray]) -> None:
    rate, decay = 0.01, 0.5
    weights = []
    for weight_decay in (0.0, decay):
        model = model_of(toy_shape)
        FloatTrainer(model, lambda step: rate, "adamw", weight_decay=weight_decay).step(*batch)
        weights.append(dict(model.named_parameters()))
    start = dict(model_of(toy_shape).named_parameters())
    for name, plain in weights[0].items():
        decayed = plain.ndim > 1 and name not in ("cls_token", "pos_embed")
        expected = plain - rate * decay * start[name] if decayed else plain
        assert torch.allclose(weights[1][name], expected, atol=1e-14), name
        assert (plain - start[name]).abs().max() <= rate * 1.0001


@pytest.mark.parametrize("optimizer, rate", [("momentum", 0.1), ("adamw", 0.003)])
def test_a_pruned_model_learns_a_batch(
    toy_shape: Callable[..., VitShape], batch: tuple[np.ndarray, np.ndarray], optimizer: str, rate: float
) -> None:
    model = model_of(toy_shape)
    trainer = FloatTrainer(model, lambda step: rate, optimizer)
    before = trainer.evaluate([batch], Counts((6, 3), (4, 2)))
    for _ in range(120):
        result = trainer.step(*batch, Counts((6, 3), (4, 2)))
    after = trainer.evaluate([(batch[0][:3], batch[1][:3]), (batch[0][3:], batch[1][3:])], Counts((6, 3), (4, 2)))
    assert before.loss == pytest.approx(math.log(5), rel=0.1)
    assert result.loss < 0.1 * before.loss
    assert (after.accuracy, after.examples) == (1.0, 10)
    assert result.correct.dtype == torch.bool
    assert result.correct.shape == result.attention_variance.shape == (10,)


def test_step_reports_the_weights_before_the_update(
    toy_shape: Callable[..., VitShape], batch: tuple[np.ndarray, np.ndarray]
) -> None:
    model = model_of(toy_shape)
    output = model(torch.tensor(batch[0]))
    result = FloatTrainer(model, lambda step: 1.0).step(*batch)
    assert result.correct.tolist() == (output.logits.argmax(1).numpy() == batch[1]).tolist()
    assert torch.equal(result.attention_variance, output.attention_variance)


def test_same_seed_same_run(toy_shape: Callable[..., VitShape], batch: tuple[np.ndarray, np.ndarray]) -> None:
    losses = []
    for _ in range(2):
        trainer = FloatTrainer(model_of(toy_shape, seed=7), lambda step: 0.1)
        losses.append([trainer.step(*batch, Counts((6, 3), (4, 2))).loss for _ in range(4)])
    assert losses[0] == losses[1]


def test_unknown_optimizer(toy_shape: Callable[..., VitShape]) -> None:
    with pytest.raises(PeelVitError, match="no optimizer 'lion'; choose momentum or adamw"):
        FloatTrainer(model_of(toy_shape), lambda step: 0.1, "lion")


def test_a_loss_that_is_not_finite(toy_shape: Callable[..., VitShape], batch: tuple[np.ndarray, np.ndarray]) -> None:
    trainer = FloatTrainer(model_of(toy_shape), lambda step: 0.1)
    with pytest.raises(PeelVitError, match="the loss is nan at step 0"):
        trainer.step(batch[0] * np.nan, batch[1])


def test_nothing_to_evaluate_on(toy_shape: Callable[..., VitShape]) -> None:
    with pytest.raises(PeelVitError, match="no examples to evaluate"):
        FloatTrainer(model_of(toy_shape), lambda step: 0.1).evaluate([])
