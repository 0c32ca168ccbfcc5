"""What every registered attention method keeps to; a new one is tested by being registered."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from host.errors import PeelVitError
from host.schedules import keys_per_query, token_counts
from trainer.attention.connections import Connections, LazyProbabilities
from trainer.attention.dense import ALL_KEYS
from trainer.attention.longformer import window_keys
from trainer.attention.magnitude import MagnitudeConnections
from trainer.attention.methods import Survivors
from trainer.keep import Keep
from trainer.models.registry import create_model
from trainer.record import SILENT, Recorder
from trainer.tokens.registry import ATTENTION_METHODS

MODEL = "vit:image=20,patch=4,dim=24,depth=6,heads=3,mlp=32,classes=5"
METHODS = sorted(ATTENTION_METHODS)
every_method = pytest.mark.parametrize("name", METHODS)


def queries_and_keys(tokens: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    q, k = torch.randn(2, 2, 3, tokens, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return q, k


def connect(name: str, patches: int, count: int | None, extra: int = 0) -> tuple[Connections, Tensor | None]:
    probabilities = LazyProbabilities(*queries_and_keys(1 + patches))
    kept = torch.arange(patches).expand(2, -1)
    return ATTENTION_METHODS[name]().connect(probabilities, Survivors(kept, count, extra=extra))


def whole_map(connections: Connections, q: Tensor, k: Tensor) -> Tensor:
    """The probabilities [B, H, T, T], read off the context of unit vectors as values."""
    B, H, T, _ = q.shape
    units = torch.eye(T, dtype=q.dtype).expand(B, H, T, T)
    return connections.attend(q, k, units, SILENT)[0].unflatten(2, (H, T)).transpose(1, 2)


@every_method
@settings(max_examples=25)
@given(patches=st.integers(1, 12), ratio=st.floats(0.01, 1.0), extra=st.integers(0, 1))
def test_rows_have_exactly_k_keys_and_their_own(name: str, patches: int, ratio: float, extra: int) -> None:
    """Class and fused tokens attend to all and are attended to by all."""
    count = keys_per_query(patches, ratio)
    connections, keys = connect(name, patches, count, extra)
    q, k = queries_and_keys(1 + patches + extra, seed=2)
    there = whole_map(connections, q, k) > 0
    inner = there[:, :, 1 : 1 + patches, 1 : 1 + patches]
    assert (inner.sum(dim=3) == count).all()
    assert inner.diagonal(dim1=2, dim2=3).all()
    for token in (0, *range(1 + patches, 1 + patches + extra)):
        assert there[:, :, token].all()
        assert there[:, :, :, token].all()
    if keys is not None:
        assert keys.shape == (2, patches, count)
        assert (keys.sort(dim=2).values.diff(dim=2) > 0).all()
        assert inner.gather(3, keys[:, None].expand(-1, 3, -1, -1)).all()


@every_method
@pytest.mark.parametrize("count", [1, 3, 7])
def test_attention_is_the_softmax_over_the_connections(name: str, count: int) -> None:
    connections, _ = connect(name, 7, count)
    q, k = queries_and_keys(8, seed=2)
    found = whole_map(connections, q, k)
    scores = (q @ k.mT / 2).masked_fill(found == 0, -torch.inf)
    assert torch.allclose(found, scores.softmax(dim=-1))
    record: dict[str, Tensor] = {}
    connections.attend(q, k, torch.zeros_like(q), Recorder(record))
    assert torch.allclose(record["softmax"], found)


@every_method
def test_probabilities_are_those_of_the_attention(name: str) -> None:
    connections, _ = connect(name, 7, 3)
    q, k = queries_and_keys(8, seed=2)
    expected = whole_map(connections, q, k)
    probabilities = connections.attend(q.requires_grad_(), k, k, SILENT)[1]
    rows = torch.tensor([[5, 0], [2, 7]])
    assert torch.allclose(probabilities.head_sum(), expected.sum(dim=1))
    assert torch.allclose(probabilities.class_row(), expected.mean(dim=1)[:, 0])
    assert torch.allclose(probabilities.column_sums(), expected.mean(dim=1).sum(dim=1))
    wanted = expected.sum(dim=1).gather(1, rows[:, :, None].expand(-1, -1, 8))
    assert torch.allclose(probabilities.rows(rows), wanted)
    assert not probabilities.head_sum().requires_grad


@every_method
def test_all_keys_are_dense_attention(name: str) -> None:
    assert connect(name, 7, None) == (ALL_KEYS, None)
    q, k = queries_and_keys(8, seed=2)
    assert torch.allclose(whole_map(connect(name, 7, 7)[0], q, k), whole_map(ALL_KEYS, q, k))


@every_method
@pytest.mark.parametrize("keep", [Keep(0.7, 0.4), Keep(1.0, 0.3)], ids=["tokens and keys", "keys"])
def test_a_model_trains_with_it(name: str, keep: Keep) -> None:
    model = create_model(MODEL, attention_method=name, select_before=(2, 4, 6))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    images = torch.randn(4, 3, 20, 20, generator=torch.Generator().manual_seed(2))
    losses = []
    for _ in range(8):
        output = model(images, keep)
        loss = torch.nn.functional.cross_entropy(output.logits, torch.arange(4))
        optimizer.zero_grad()
        loss.backward()
        assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert [kept.shape[1] for kept in output.kept] == token_counts(25, keep.tokens, 3)
    assert len(output.keys) == 3


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"selected"}))
def test_keys_from_outside_are_refused(name: str) -> None:
    with pytest.raises(PeelVitError, match="use the attention method selected"):
        ATTENTION_METHODS[name]().connect(None, Survivors(torch.zeros(1, 2), 2, torch.zeros(1, 2, 2)))


@pytest.mark.parametrize(
    "patches, count, first",
    [(6, 1, [0, 1, 2, 3, 4, 5]), (6, 3, [0, 0, 1, 2, 3, 3]), (6, 4, [0, 0, 1, 2, 2, 2]), (3, 3, [0, 0, 0])],
)
def test_windows_move_inwards_at_the_ends(patches: int, count: int, first: list[int]) -> None:
    keys = window_keys(patches, count)
    assert keys[:, 0].tolist() == first
    assert (keys == keys[:, :1] + torch.arange(count)).all()


@given(st.integers(1, 20), st.data())
def test_windows_hold_the_nearest(patches: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, patches))
    for query, keys in enumerate(window_keys(patches, count).tolist()):
        others = set(range(patches)) - set(keys)
        reach = max(abs(key - query) for key in keys)
        assert query in keys
        assert all(abs(other - query) >= min(reach, (count - 1) // 2 + 1) for other in others)


def test_magnitude_keeps_each_heads_largest_scores_and_the_lowest_among_equals() -> None:
    scores = torch.tensor([[9.0, 0, 0, 0, 0], [0, 1, 5, 5, 2], [0, 7, 0, 7, 7], [0, 1, 2, 3, 4], [0, 4, 3, 2, 1]])
    kept = MagnitudeConnections(2).allowed(torch.stack([scores, -scores])[None])[0, :, 1:, 1:]
    assert [row.nonzero()[:, 0].tolist() for row in kept[0]] == [[0, 1], [0, 1], [2, 3], [0, 3]]
    assert [row.nonzero()[:, 0].tolist() for row in kept[1]] == [[0, 3], [0, 1], [0, 2], [2, 3]]


def test_magnitude_differs_between_heads_and_blocks() -> None:
    q, k = queries_and_keys(8, seed=2)
    first = whole_map(connect("magnitude", 7, 2)[0], q, k) > 0
    assert not torch.equal(first[:, 0], first[:, 1])
