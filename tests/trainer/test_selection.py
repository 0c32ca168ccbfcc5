"""Token & attention selection against a plain Python reference, with ties."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from host.errors import PeelVitError
from host.schedules import kept_count, keys_per_query
from trainer.keep import Counts, Forced, Keep
from trainer.selection import gather_tokens, largest, select_keys, select_tokens
from trainer.tokens.trilevel import check_places

LEVELS = (0.0, 0.25, 0.5)  # few values: nearly every map has ties


@st.composite
def maps(draw: st.DrawFn) -> tuple[list[list[list[float]]], int, int]:
    """A map [B, T, T] and counts of tokens and keys to keep."""
    batch, patches = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    row = st.lists(st.sampled_from(LEVELS), min_size=1 + patches, max_size=1 + patches)
    image = st.lists(row, min_size=1 + patches, max_size=1 + patches)
    attention = draw(st.lists(image, min_size=batch, max_size=batch))
    tokens = draw(st.integers(1, patches))
    return attention, tokens, draw(st.integers(1, tokens))


def patch_rows(attention_BTT: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """The kept patches' rows over all patches, [B, K, N]."""
    return torch.stack([image[1 + rows, 1:] for image, rows in zip(attention_BTT, kept, strict=True)])


def reference_tokens(image: list[list[float]], count: int) -> list[int]:
    scores = image[0][1:]
    return sorted(sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:count])


def reference_keys(image: list[list[float]], kept: list[int], count: int) -> list[list[int]]:
    chosen = []
    for i, query in enumerate(kept):
        others = [j for j in range(len(kept)) if j != i]
        others.sort(key=lambda j: (-image[1 + query][1 + kept[j]], j))
        chosen.append(sorted([i, *others[: count - 1]]))
    return chosen


@given(maps())
def test_selection_equals_plain_python(case: tuple[list[list[list[float]]], int, int]) -> None:
    attention, token_count, key_count = case
    tensor = torch.tensor(attention)
    kept = select_tokens(tensor[:, 0, 1:], token_count)
    keys = select_keys(patch_rows(tensor, kept), kept, key_count)
    expected = [reference_tokens(image, token_count) for image in attention]
    assert kept.tolist() == expected
    assert keys.sort(dim=-1).values.tolist() == [
        reference_keys(image, rows, key_count) for image, rows in zip(attention, expected, strict=True)
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_among_equals_the_lowest_index_wins(dtype: torch.dtype) -> None:
    assert largest(torch.zeros(2, 1000, dtype=dtype), 3).sort().values.tolist() == [[0, 1, 2]] * 2


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=20), st.data())
def test_any_floats_are_ordered(scores: list[float], data: st.DataObject) -> None:
    scores = [score + 0.0 for score in scores]  # -0.0 and 0.0 are one number
    count = data.draw(st.integers(1, len(scores)))
    expected = sorted(sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:count])
    for dtype in (torch.float32, torch.float64):
        assert largest(torch.tensor(scores, dtype=dtype), count).sort().values.tolist() == expected


def test_the_diagonal_is_kept_even_with_no_attention_on_it() -> None:
    attention = torch.ones(1, 5, 5) - torch.eye(5)
    kept = torch.arange(4)[None]
    assert select_keys(patch_rows(attention, kept), kept, 1).tolist() == [[[0], [1], [2], [3]]]


def test_selection_leaves_the_map_alone() -> None:
    attention = torch.rand(2, 2, 4)
    before = attention.clone()
    select_keys(attention, torch.tensor([[0, 1], [1, 3]]), 1)
    assert torch.equal(attention, before)


def test_gather_keeps_the_class_token_and_the_kept_rows() -> None:
    x = torch.arange(2 * 5 * 3).reshape(2, 5, 3)
    gathered = gather_tokens(x, torch.tensor([[0, 2], [1, 3]]))
    assert torch.equal(gathered, torch.stack([x[0, [0, 1, 3]], x[1, [0, 2, 4]]]))


@pytest.mark.parametrize("count", [0, -1, 5])
def test_impossible_counts_are_refused(count: int) -> None:
    with pytest.raises(PeelVitError, match="from 1 to 4"):
        select_tokens(torch.rand(1, 4), count)
    with pytest.raises(PeelVitError, match="from 1 to 4"):
        select_keys(torch.rand(1, 4, 4), torch.arange(4)[None], count)


@pytest.mark.parametrize("places", [(1,), (0, 4), (3, 2), (2, 2)])
def test_impossible_places_are_refused(places: tuple[int, ...]) -> None:
    with pytest.raises(PeelVitError, match="ascending numbers from 2"):
        check_places(places)


def test_settings_must_match_the_selectors() -> None:
    with pytest.raises(PeelVitError, match="1 token counts do not fit 2 selectors"):
        Counts([4]).check(2)
    with pytest.raises(PeelVitError, match="3 key counts do not fit 2 selectors"):
        Counts([4, 3], [1, 1, 1]).check(2)
    with pytest.raises(PeelVitError, match="1 kept indices do not fit 2 selectors"):
        Forced([torch.zeros(1, 2)]).check(2)
    with pytest.raises(PeelVitError, match="no selector"):
        Keep(0.5).check(0)


@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.1, float("nan")])
def test_impossible_ratios_are_refused(ratio: float) -> None:
    with pytest.raises(PeelVitError, match="keep ratio"):
        Keep(ratio)
    with pytest.raises(PeelVitError, match="attention keep ratio"):
        Keep(1.0, ratio)


@given(st.integers(1, 300), st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_ratios_give_the_boards_counts(patches: int, tokens: float, attention: float) -> None:
    choice = Keep(tokens, attention).choice(0, patches)
    if tokens == attention == 1.0:
        assert choice is None
        return
    assert choice is not None
    count = kept_count(patches, tokens)
    keys = keys_per_query(count, attention)
    assert (choice.token_count, choice.key_count) == (count, None if keys == count else keys)
