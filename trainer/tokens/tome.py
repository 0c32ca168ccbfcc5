"""ToMe: token merging by bipartite soft matching (Bolya et al. 2023).

In every block, between attention and MLP: tokens are dealt alternately to two sets; each of the first finds the most
similar of the second by the cosine of their keys (mean over heads); the r most similar pairs are merged, as averages
weighted by the number of patches in each. Later blocks attend in proportion to these sizes. The class token is never
merged.

The paper gives r. Ours follows from the keep ratio, so that the methods can be compared: the linear layers compute as
many tokens as with the paper's selector at the same ratio (a block's qkv and projection see the tokens before its
merge, its MLP, two thirds of the work, those after it). Where r is no whole number, blocks merge one more or one less
in turn. The option `r` gives it directly. What differs: matching reads detached keys, and merging is a product with a
one-hot matrix, which is reproducible on a GPU where adding into rows is not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from host.errors import PeelVitError
from host.schedules import kept_count
from trainer.attention.connections import Connections, LazyProbabilities
from trainer.attention.dense import ALL_KEYS
from trainer.attention.proportional import ProportionalConnections
from trainer.selection import largest
from trainer.tokens.method import Block, ForwardState, TokenMethod
from trainer.tokens.trilevel import check_places


class TokenMerging(TokenMethod):
    """Merging in every block.

    `places` are the selectors that the keep ratio is meant for, `r` replaces the number that follows from them. Merged
    tokens are no patches, so `kept` stays empty; `aux["tome.sizes"]` [B, T] says how many tokens each stands for.
    """

    name = "tome"
    keeps_order = False

    def __init__(self, places: Sequence[int] = (4, 7, 10), r: int | None = None) -> None:
        super().__init__()
        check_places(places)
        if r is not None and r < 0:
            raise PeelVitError(f"{r} tokens cannot be merged in a block; give r from 0")
        self.places = tuple(places)
        self.r = r

    def forward(self, blocks: Sequence[Block], x: Tensor, state: ForwardState) -> Tensor:
        """See `TokenMethod`."""
        self.check_dense_attention(state)
        if self.r is None:
            state.keep.check(len(self.places))
        merges = self.merges(x.shape[1] - state.prefix, state.ratios.tokens, len(blocks), state.first_block)
        sizes_BT = torch.ones(x.shape[:2], device=x.device)
        connections: Connections = ALL_KEYS
        for number, (block, count) in enumerate(zip(blocks, merges, strict=True), state.first_block):
            record = state.record.within(f"blocks.{number}")
            x, state.probabilities = block.attend(x, connections, record)
            if count:
                x, sizes_BT = merge_tokens(x, sizes_BT, _keys(state), count, state.prefix)
                connections = ProportionalConnections(sizes_BT)
            x = block.feed_forward(x, record)
        state.aux["tome.sizes"] = sizes_BT
        return x

    def merges(self, patches: int, ratio: float, depth: int, first_block: int = 0) -> list[int]:
        """Tokens that each of `depth` blocks merges away; at most half of the patches that are left."""
        if ratio == 1.0:
            return [0] * depth
        rate = self.r if self.r is not None else self._rate(patches, ratio, depth, first_block)
        merges = []
        for block in range(depth):
            wanted = round((block + 1) * rate) - round(block * rate)
            merges.append(min(wanted, patches // 2))
            patches -= merges[-1]
        return merges

    def _rate(self, patches: int, ratio: float, depth: int, first_block: int) -> float:
        left, saved = patches, 0
        for number in range(first_block, first_block + depth):
            left = kept_count(left, ratio) if number + 1 in self.places else left
            saved += patches - left
        # Block b (from 1) that merges r saves b r tokens in its MLP and (b - 1) r in its qkv and projection.
        return saved / sum(block - 1 / 3 for block in range(1, depth + 1))


def merge_tokens(x_BTD: Tensor, sizes_BT: Tensor, keys_BTE: Tensor, count: int, prefix: int) -> tuple[Tensor, Tensor]:
    """`x` and `sizes` with `count` tokens fewer: those of the first set that were not merged, then the second set."""
    keys_BTE = functional.normalize(keys_BTE, dim=-1)
    similarity = keys_BTE[:, ::2] @ keys_BTE[:, 1::2].mT
    similarity[:, :prefix] = -torch.inf  # the class token is the first of the first set
    best = similarity.max(dim=2)
    merged = largest(best.values, count)
    staying = torch.zeros_like(best.indices).scatter(1, merged, 1).argsort(dim=1, stable=True)[:, :-count]
    pairs = functional.one_hot(best.indices.gather(1, merged), similarity.shape[2]).mT.to(sizes_BT.dtype)

    sizes_BT1 = sizes_BT[:, :, None]
    totals, totals_x = _merged(sizes_BT1, staying, merged, pairs), _merged(x_BTD * sizes_BT1, staying, merged, pairs)
    return (totals_x / totals).to(x_BTD.dtype), totals[:, :, 0]


def _merged(rows_BTD: Tensor, staying: Tensor, merged: Tensor, pairs: Tensor) -> Tensor:
    first, second = rows_BTD[:, ::2], rows_BTD[:, 1::2]
    return torch.cat([_rows(first, staying), second + pairs @ _rows(first, merged)], dim=1)


def _rows(rows_BTD: Tensor, indices: Tensor) -> Tensor:
    return rows_BTD.gather(1, indices[:, :, None].expand(-1, -1, rows_BTD.shape[2]))


def _keys(state: ForwardState) -> Tensor:
    probabilities = state.last_probabilities
    assert isinstance(probabilities, LazyProbabilities)
    return probabilities.k.mean(dim=1)
