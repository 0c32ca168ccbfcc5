"""attention_backward: the gradients of queries, keys and values, of the stored probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sim.golden.calls import Fractions
from sim.golden.fixed import Results, Stored, exact_matmul, join, round_shift, saturate, store
from sim.golden.heads import by_position, by_token, image_groups, listed_keys, merge_heads, split_heads, used_columns
from sim.golden.slots import Statistics
from sim.golden.tokens import CLASS, PATCH, row_parts, store_rows

MEAN_BITS = 38
"""Of a query's weighted mean of dp: as many as dp has."""


def attention_backward(
    *,
    qkv: Tensor,
    keys: Tensor | None,
    probability: Tensor,
    dy: Tensor,
    batch: int,
    patches: int,
    heads: int,
    head_dim: int,
    queries: int,
    gradient_mantissa: int,
    gradient_shift: int,
    f: Fractions,
    **_: Any,
) -> Results:
    """dqkv [batch * (1 + patches), 3 * heads * head_dim] of dy [batch * queries, heads * head_dim]; dscore as
    `probability` is [batch * heads * queries, 1 + patches], by position."""
    q, k, v = split_heads(qkv, batch, heads, head_dim)
    (out,) = split_heads(dy, batch, heads, head_dim)
    probabilities = probability.reshape(batch, heads, queries, 1 + patches)
    listed = listed_keys(keys, batch, patches, queries)
    (fx,), (fp,) = f["qkv"], f["probability"]
    dscore_statistics = [Statistics(), Statistics()]
    dscores: list[Tensor] = []
    groups: list[tuple[Tensor, ...]] = []
    for images in image_groups(batch, heads, queries, 1 + patches):
        own = None if listed is None else listed[images]
        asked, p = q[images, :, :queries], by_token(probabilities[images], own)
        ds, seen = _score_gradients(p, exact_matmul(out[images], v[images].transpose(2, 3)), f)
        dscore_statistics = [a + b for a, b in zip(dscore_statistics, seen, strict=True)]
        dscores.append(by_position(ds, own).flatten(0, 2))
        dk, dk_fraction = _sum_queries(ds, asked, [g + fx for g in f["dscore"]])
        dv, dv_fraction = _sum_queries(p, out[images], [g + fp for g in f["dy"]])
        groups.append(tuple(merge_heads(d) for d in (exact_matmul(ds, k[images]), dk, dv)))
    dq, dk, dv = (torch.cat(parts) for parts in zip(*groups, strict=True))
    scale = gradient_mantissa & 0x1FFFF
    query_fractions = [g + fx + gradient_shift for g in f["dscore"]]
    thirds = (
        _store_tokens(dq * scale, query_fractions, f["dqkv"][:2]),
        _store_tokens(dk * scale, [dk_fraction + gradient_shift] * 2, f["dqkv"][2:4]),
        _store_tokens(dv, [dv_fraction] * 2, f["dqkv"][4:]),
    )
    dqkv = torch.zeros_like(qkv, memory_format=torch.contiguous_format)  # patch rows without a query stay zero
    width = heads * head_dim
    for i, (values, _pair) in enumerate(thirds):
        dqkv[: len(values), i * width : (i + 1) * width] = values
    changes = tuple(change for _values, pair in thirds for change in pair)
    columns = used_columns(listed, batch, heads, queries, 1 + patches)
    return {
        "dscore": Stored(torch.cat(dscores), tuple(dscore_statistics), columns),
        "dqkv": Stored(dqkv, changes),
    }


def _score_gradients(p: Tensor, dp: Tensor, f: Fractions) -> tuple[Tensor, tuple[Statistics, ...]]:
    """Stored gradients of the scores [batch, heads, queries, tokens], and their statistics (patch, class)."""
    wide, fp = p.long(), f["probability"][0]
    mean = saturate(round_shift((wide * dp).sum(3, keepdim=True), fp), MEAN_BITS)
    acc = dp.sub_(mean).mul_(wide)
    statistics, values = [Statistics(), Statistics()], []
    for kind, part in row_parts(p.shape[2], 1):
        fraction = fp + f["dy"][kind] + f["qkv"][0]
        mantissas, statistics[kind] = store(acc[:, :, part], fraction, f["dscore"][kind])
        values.append(mantissas)
    return torch.cat(values, 2), (statistics[PATCH], statistics[CLASS])


def _sum_queries(weights: Tensor, values: Tensor, fractions: Sequence[int]) -> tuple[Tensor, int]:
    """For each key, the sum over queries of weight times value; `fractions` is (patch, class)."""
    parts = row_parts(weights.shape[2], 1)
    return join(
        [
            (exact_matmul(weights[:, :, part].transpose(2, 3), values[:, :, part]), fractions[kind])
            for kind, part in parts
        ]
    )


def _store_tokens(acc: Tensor, fractions: Sequence[int], f: Sequence[int]) -> tuple[Tensor, tuple[Statistics, ...]]:
    """Stored rows of accumulators [batch, tokens, columns]; `fractions` and `f` are (patch, class)."""
    parts = [(CLASS, acc[:, 0], fractions[CLASS]), (PATCH, acc[:, 1:].flatten(0, 1), fractions[PATCH])]
    return store_rows(parts, f)
