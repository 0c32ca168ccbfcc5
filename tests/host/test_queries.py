"""How queries are cut into parts: all of them, in order, where row tiles end, and not for nothing."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hls.spec.config import BOARDS, load
from host.compiler.cycles import AttentionShape
from host.compiler.heads import head_groups
from host.compiler.queries import MOST_PARTS, Behind, query_parts

SHAPES = st.builds(
    lambda tokens, part, dim: AttentionShape(tokens, tokens, max(1, round(tokens * part)), 8 * dim, 64),
    st.integers(2, 256), st.sampled_from([0.2, 0.5, 1]), st.integers(1, 96),
)  # fmt: skip


@pytest.mark.parametrize("config", BOARDS)
@given(st.integers(1, 6), SHAPES, st.booleans(), st.booleans())
def test_parts_are_all_queries_cut_where_row_tiles_end(
    config: str, heads: int, shape: AttentionShape, saves: bool, has_map: bool
) -> None:
    board = load(config)
    behind = Behind(shape.dim, 4 * shape.dim, saves)
    cycles, parts = query_parts(board, heads, shape, behind, shape.tokens if has_map else 0)
    assert [query for part in parts for query in part] == (list(range(shape.queries)) if parts else [])
    assert len(parts) <= MOST_PARTS
    assert all(before.stop % board.row_tile == 0 and before.stop % 4 == 0 for before, _ in pairwise(parts))
    if parts:
        assert cycles > behind.cycles(board, shape.queries)
    else:
        assert cycles == math.inf


@pytest.mark.parametrize("dim, heads", [(192, 3), (384, 6)])
def test_dense_deit_gains_by_two_parts(dim: int, heads: int) -> None:
    board, shape, behind = load("zcu102"), AttentionShape(197, 197, 197, dim, 64), Behind(dim, 4 * dim, False)
    cycles, parts = query_parts(board, heads, shape, behind, 0)
    assert len(parts) == 2
    assert cycles < head_groups(board, heads, shape)[0] + behind.cycles(board, 197)


def test_few_tokens_are_bound_by_weights_which_parts_would_read_twice() -> None:
    board, shape, behind = load("zcu102"), AttentionShape(98, 98, 60, 384, 64), Behind(384, 1536, False)
    cycles, _ = query_parts(board, 6, shape, behind, 0)
    assert cycles > head_groups(board, 6, shape)[0] + behind.cycles(board, 98)
