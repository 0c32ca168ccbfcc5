"""attention: multi-head self-attention, dense or over listed keys."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from sim.golden.calls import Flags, Fractions
from sim.golden.fixed import Results, Stored, exact_matmul, store
from sim.golden.heads import (
    attend,
    by_position,
    by_token,
    image_groups,
    listed_keys,
    merge_heads,
    split_heads,
    used_columns,
)
from sim.golden.slots import Statistics
from sim.golden.tokens import rows_of


def attention(
    *,
    qkv: Tensor,
    keys: Tensor | None,
    probability: Tensor,
    batch: int,
    patches: int,
    heads: int,
    head_dim: int,
    queries: int,
    first: int,
    count: int,
    map_rows: int,
    scale: int,
    f: Fractions,
    flags: Flags,
    **_: Any,
) -> Results:
    """y [batch * queries, heads * head_dim]; map [batch * map_rows, 1 + patches], probabilities summed over heads;
    probability [batch * heads * queries, 1 + patches], by position: made, or without SCORES read. Of each image's
    queries `count` from the `first` on are asked; rows of the others are not written."""
    q, k, v = split_heads(qkv, batch, heads, head_dim)
    tokens, asked = 1 + patches, slice(first, first + count)
    listed = listed_keys(keys, batch, patches, queries)
    probabilities = probability.reshape(batch, heads, queries, tokens)
    statistics, stored, sums, maps = Statistics(), [], [], []
    for images in image_groups(batch, heads, queries, tokens):
        own = None if listed is None else listed[images]
        if "SCORES" in flags:
            has = None if own is None else own.mask(tokens)[:, :, asked]
            made, seen = attend(q[images, :, asked], k[images], has, f["qkv"][0], scale, f["probability"][0])
            p = _of_all(made, first, queries)
            statistics += seen
            stored.append(by_position(p, own).flatten(0, 2))
        else:
            p = by_token(probabilities[images], own)
        if "VALUES" in flags:
            sums.append(_of_all(exact_matmul(p[:, :, asked], v[images]), first, queries))
        if "MAP" in flags:
            maps.append(p[:, :, :map_rows].sum(1))
    results: Results = {}
    has_query = [int(query in range(first, first + count)) for query in range(queries)]
    if "SCORES" in flags:
        used = used_columns(listed, batch, heads, queries, tokens)
        columns = [own * asks for own, asks in zip(used, has_query * (batch * heads), strict=True)]
        results["probability"] = Stored(torch.cat(stored), (statistics,), columns)
    if "VALUES" in flags:
        y, seen = store(rows_of(merge_heads(torch.cat(sums))), f["probability"][0] + f["qkv"][0], f["y"][0])
        rows = has_query[:1] * batch + has_query[1:] * batch
        results["y"] = Stored(y, (seen,), [heads * head_dim * asks for asks in rows])
    if "MAP" in flags:
        columns = [tokens * asks for asks in has_query[:map_rows]] * batch
        results["map"] = Stored(torch.cat(maps).flatten(0, 1).int(), columns=columns)
    return results


def _of_all(values: Tensor, first: int, queries: int) -> Tensor:
    """Values [batch, heads, asked, columns] between zeros of the queries that are not asked."""
    return pad(values, (0, 0, first, queries - first - values.shape[2]))
