"""Token & attention selection: which patch tokens survive, and which patch keys each of them attends to.

Shapes: B images, N patch tokens before a selector, K after it, k patch keys a query, T = 1 + N tokens, D dimension.
Patch indices leave the class token out: patch i is token 1 + i. `kept` counts in the N patches that enter the
selector, `keys` in the K patches that leave it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from host.errors import PeelVitError


@dataclass(frozen=True)
class Selection:
    """What a selector chose: `kept` [B, K] and `keys` [B, K, k] (None: attention stays dense), both ascending."""

    kept: Tensor
    keys: Tensor | None


@dataclass(frozen=True)
class Selector:
    """One selector: how many tokens and keys it keeps, or the indices it is forced to keep."""

    token_count: int
    key_count: int | None
    forced_kept: Tensor | None = None
    forced_keys: Tensor | None = None

    @torch.no_grad()
    def select(self, attention_BTT: Tensor) -> Selection:
        """Choose by the head-summed probabilities of the block before."""
        kept = self.forced_kept
        if kept is None:
            kept = select_tokens(attention_BTT, self.token_count)
        keys = self.forced_keys
        if keys is None and self.key_count is not None:
            keys = select_keys(attention_BTT, kept, self.key_count)
        return Selection(kept, keys)


def largest(scores: Tensor, count: int) -> Tensor:
    """Ascending indices of the `count` largest along the last dimension; among equals the lowest index wins."""
    order = torch.sort(scores, dim=-1, descending=True, stable=True).indices
    return order[..., :count].sort(dim=-1).values


def select_tokens(attention_BTT: Tensor, count: int) -> Tensor:
    """The `count` patches to which the class token attends most, [B, count]."""
    patches = attention_BTT.shape[-1] - 1
    if not 1 <= count <= patches:
        raise PeelVitError(f"a selector cannot keep {count} of {patches} tokens; give a count from 1 to {patches}")
    return largest(attention_BTT[:, 0, 1:], count)


def select_keys(attention_BTT: Tensor, kept: Tensor, count: int) -> Tensor:
    """For each kept patch itself and the `count` - 1 other kept patches it attends to most, [B, K, count]."""
    patches = kept.shape[1]
    if not 1 <= count <= patches:
        raise PeelVitError(f"a query cannot have {count} of {patches} patch keys; give a count from 1 to {patches}")
    batch_B11 = torch.arange(len(kept), device=kept.device)[:, None, None]
    scores_BKK = attention_BTT[batch_B11, 1 + kept[:, :, None], 1 + kept[:, None, :]]
    scores_BKK.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    return largest(scores_BKK, count)


def gather_tokens(x_BTD: Tensor, kept: Tensor) -> Tensor:
    """The class token and the kept patch tokens, [B, 1 + K, D]."""
    rows_BK = torch.cat([kept.new_zeros(len(kept), 1), kept + 1], dim=1)
    return x_BTD.gather(1, rows_BK[:, :, None].expand(-1, -1, x_BTD.shape[2]))


def plan_selectors(
    select_before: Sequence[int],
    depth: int,
    token_counts: Sequence[int] | None,
    key_counts: Sequence[int | None] | None,
    kept: Sequence[Tensor] | None,
    keys: Sequence[Tensor | None] | None,
) -> dict[int, Selector]:
    """The selector in front of each zero-based block; none at all when neither counts nor indices are given.

    `select_before` are one-based block numbers. Forced `kept` and `keys` replace the counts of the same selector.
    """
    if token_counts is None and kept is None:
        if key_counts is not None or keys is not None:
            raise PeelVitError("attention selection needs token selection; give token counts (all tokens is allowed)")
        return {}
    _check_places(select_before, depth)
    places = len(select_before)
    if token_counts is None:
        token_counts = [indices.shape[1] for indices in kept or ()]
    columns: list[Sequence[Any]] = [
        token_counts,
        key_counts or [None] * places,
        kept or [None] * places,
        keys or [None] * places,
    ]
    for name, column in zip(("token counts", "key counts", "kept indices", "key indices"), columns, strict=True):
        if len(column) != places:
            raise PeelVitError(f"{len(column)} {name} do not fit {places} selectors; give one for each selector")
    return {block - 1: Selector(*row) for block, *row in zip(select_before, *columns, strict=True)}


def _check_places(select_before: Sequence[int], depth: int) -> None:
    ascending = list(select_before) == sorted(set(select_before))
    if not (ascending and all(2 <= block <= depth for block in select_before)):
        places = ", ".join(map(str, select_before))
        raise PeelVitError(
            f"selectors before blocks {places} do not fit {depth} blocks; give ascending numbers from 2 to {depth}"
        )
