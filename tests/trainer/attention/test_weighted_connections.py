"""Connections of token methods: masked keys, decided keys, keys that stand for several."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainer.attention.connections import Connections
from trainer.attention.dense import ALL_KEYS
from trainer.attention.masked import KeyMask
from trainer.attention.policy import PolicyConnections
from trainer.attention.proportional import ProportionalConnections
from trainer.record import SILENT, Recorder

B, H, T, E = 2, 3, 6, 4


def qkv(seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = torch.randn(3, B, H, T, E, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return q, k, v


def context(connections: Connections, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return connections.attend(q, k, v, SILENT)[0]


ALIVE = torch.tensor([[True, True, False, True, False, True], [True, False, False, False, True, True]])
SIZES = torch.tensor([[1.0, 2, 1, 3, 1, 1], [1, 1, 1, 1, 4, 2]], dtype=torch.float64)


@pytest.mark.parametrize(
    "neutral",
    [
        KeyMask(torch.ones(B, T, dtype=torch.bool)),
        PolicyConnections(torch.ones(B, T, dtype=torch.float64)),
        ProportionalConnections(torch.ones(B, T, dtype=torch.float64)),
    ],
)
def test_neutral_connections_are_dense_attention(neutral: Connections) -> None:
    assert torch.allclose(context(neutral, *qkv()), context(ALL_KEYS, *qkv()))


@pytest.mark.parametrize(
    "connections", [KeyMask(ALIVE), PolicyConnections(ALIVE.double()), ProportionalConnections(SIZES)]
)
def test_probabilities_and_records_are_those_of_the_attention(connections: Connections) -> None:
    q, k, v = qkv()
    units = torch.eye(T, dtype=q.dtype).expand(B, H, T, T)
    found = context(connections, q, k, units).unflatten(2, (H, T)).transpose(1, 2)
    record: dict[str, Tensor] = {}
    recorded, probabilities = connections.attend(q, k, v, Recorder(record))
    assert torch.allclose(record["softmax"], found)
    assert torch.allclose(recorded, context(connections, q, k, v))
    assert torch.allclose(probabilities.head_sum(), found.sum(dim=1))
    assert torch.allclose(probabilities.class_row(), found.mean(dim=1)[:, 0])
    rows = torch.tensor([[1, 3], [0, 5]])
    assert torch.allclose(probabilities.rows(rows), found.sum(1).gather(1, rows[:, :, None].expand(-1, -1, T)))


@pytest.mark.parametrize("connections", [KeyMask(ALIVE), PolicyConnections(ALIVE.double())])
def test_masked_keys_are_as_if_they_were_not_there(connections: Connections) -> None:
    q, k, v = qkv()
    found = context(connections, q, k, v)
    for image in range(B):
        rows = ALIVE[image].nonzero()[:, 0]
        alone = context(ALL_KEYS, *(part[image : image + 1, :, rows] for part in (q, k, v)))
        assert torch.allclose(found[image, rows], alone[0])


def test_a_dropped_query_keeps_its_own_key_under_a_policy() -> None:
    policy = torch.tensor([[1.0, 0, 0, 0, 0, 0]] * B, dtype=torch.float64)
    allowed = policy.bool()[:, None] | torch.eye(T, dtype=torch.bool)
    q, k, v = qkv()
    expected = functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed[:, None])
    assert torch.allclose(context(PolicyConnections(policy), q, k, v), expected.transpose(1, 2).flatten(2))


def test_a_policy_has_gradients_for_dropped_keys_even_of_extreme_scores() -> None:
    q, k, v = qkv()
    k[:, :, 2] *= 1e4
    policy = ALIVE.double().requires_grad_()
    found = context(PolicyConnections(policy), q, k, v)
    assert torch.isfinite(found).all()
    (gradient,) = torch.autograd.grad(found.square().sum(), policy)
    assert torch.isfinite(gradient).all()
    policy = ALIVE.double().requires_grad_()
    context(PolicyConnections(policy), *qkv()).square().sum().backward()
    assert (policy.grad != 0).all()


def test_policy_gradient_is_the_derivative() -> None:
    q, k, v = qkv()
    policy = torch.rand(B, T, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda weights: context(PolicyConnections(weights), q, k, v), policy)


def test_a_merged_key_counts_like_its_copies() -> None:
    q, k, v = qkv()
    found = context(ProportionalConnections(SIZES), q, k, v)
    for image in range(B):
        copies = torch.repeat_interleave(torch.arange(T), SIZES[image].long())
        parts = q[image : image + 1], k[image : image + 1, :, copies], v[image : image + 1, :, copies]
        expected = functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        assert torch.allclose(found[image], expected[0])
