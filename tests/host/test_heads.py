"""How heads are cut into groups: all of them, in order, and no other way is estimated to be faster."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hls.spec.config import BOARDS, load
from host.compiler.cycles import AttentionShape, attention, projections, selection
from host.compiler.heads import head_groups, one_group, passes_apart

SHAPES = st.builds(
    lambda tokens, part, dim, head_dim: AttentionShape(
        tokens, tokens if part else 1, max(1, round(tokens * part)), 8 * dim, 8 * head_dim
    ),
    st.integers(2, 257), st.sampled_from([0, 0.2, 0.5, 1]), st.integers(1, 96), st.integers(1, 8),
)  # fmt: skip


def cuts(heads: int) -> Iterator[list[int]]:
    """All ways to write `heads` as a sum of group sizes."""
    for first in range(1, heads):
        yield from ([first, *rest] for rest in cuts(heads - first))
    yield [heads]


@pytest.mark.parametrize("config", BOARDS)
@given(st.integers(1, 7), SHAPES)
def test_groups_are_all_heads_and_the_fastest_way(config: str, heads: int, shape: AttentionShape) -> None:
    board = load(config)

    def cycles(sizes: list[int]) -> float:
        between = (max(attention(board, a, shape), projections(board, b, shape)) for a, b in pairwise(sizes))
        return projections(board, sizes[0], shape) + sum(between) + attention(board, sizes[-1], shape)

    estimated, groups = head_groups(board, heads, shape)
    assert [head for group in groups for head in group] == list(range(heads))
    assert cycles([len(group) for group in groups]) == pytest.approx(estimated)
    assert estimated == pytest.approx(min(map(cycles, cuts(heads))))


def test_dense_deit_small_takes_a_head_more_each_time() -> None:
    _, groups = head_groups(load("zcu102"), 6, AttentionShape(197, 197, 197, 384, 64))
    assert [len(group) for group in groups] == [1, 2, 3]


@pytest.mark.parametrize("images", [1, 8])
def test_passes_go_apart_where_what_they_hide_is_longer_than_an_instruction(images: int) -> None:
    board = load("zcu102")
    for keep, shape, pays in (
        (138, AttentionShape(197, 197, 197, 384, 64), True),
        (68, AttentionShape(98, 98, 60, 192, 64), True),
        (2, AttentionShape(5, 5, 5, 16, 8), False),
    ):
        choosing = selection(board, images, shape.tokens, keep, lists=True)
        whole = one_group(board, 3, images, shape) + choosing
        assert (passes_apart(board, 3, images, shape, shape.tokens, choosing) < whole) is pays
