"""attention: multi-head self-attention, dense or over listed keys."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

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
    map_rows: int,
    scale: int,
    f: Fractions,
    flags: Flags,
    **_: Any,
) -> Results:
    """y [batch * queries, heads * head_dim]; map [batch * map_rows, 1 + patches], probabilities summed over heads;
    probability [batch * heads * queries, 1 + patches], by position: made, or without SCORES read."""
    q, k, v = split_heads(qkv, batch, heads, head_dim)
    tokens = 1 + patches
    listed = listed_keys(keys, batch, patches, queries)
    probabilities = probability.reshape(batch, heads, queries, tokens)
    statistics, stored, sums, maps = Statistics(), [], [], []
    for images in image_groups(batch, heads, queries, tokens):
        own = None if listed is None else listed[images]
        if "SCORES" in flags:
            has = None if own is None else own.mask(tokens)
            p, seen = attend(q[images, :, :queries], k[images], has, f["qkv"][0], scale, f["probability"][0])
            statistics += seen
            stored.append(by_position(p, own).flatten(0, 2))
        else:
            p = by_token(probabilities[images], own)
        if "VALUES" in flags:
            sums.append(merge_heads(exact_matmul(p, v[images])))
        if "MAP" in flags:
            maps.append(p[:, :, :map_rows].sum(1))
    results: Results = {}
    if "SCORES" in flags:
        columns = used_columns(listed, batch, heads, queries, tokens)
        results["probability"] = Stored(torch.cat(stored), (statistics,), columns)
    if "VALUES" in flags:
        y, y_statistics = store(rows_of(torch.cat(sums)), f["probability"][0] + f["qkv"][0], f["y"][0])
        results["y"] = Stored(y, (y_statistics,))
    if "MAP" in flags:
        results["map"] = Stored(torch.cat(maps).flatten(0, 1).int())
    return results
