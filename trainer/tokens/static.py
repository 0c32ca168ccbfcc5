"""Static pruning: the same positions in every image, whatever it shows (Table 3's row "Static").

The paper does not say which positions. Ours are spread evenly over the grid of patches: they are ranked in
farthest-point order (each next one is as far as possible from those before it, beginning in the middle), and a
selector that keeps K keeps the first K of that order. So every selector's choice is contained in the one before, as it
must be. Places and counts are those of the paper's own selector; the pruned tokens are gathered away.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import isqrt

import numpy as np
import torch
from torch import Tensor

from host.schedules import kept_count
from trainer.attention.dense import ALL_KEYS
from trainer.selection import gather_tokens
from trainer.tokens.method import Block, ForwardState, TokenMethod, run_block
from trainer.tokens.trilevel import check_places


class StaticSelection(TokenMethod):
    """Evenly spread positions in front of the one-based blocks `places`."""

    name = "static"

    def __init__(self, places: Sequence[int] = (4, 7, 10)) -> None:
        super().__init__()
        check_places(places)
        self.places = tuple(places)

    def forward(self, blocks: Sequence[Block], x: Tensor, state: ForwardState) -> Tensor:
        """See `TokenMethod`."""
        self.check_dense_attention(state)
        state.keep.check(len(self.places))
        order = spread_order(x.shape[1] - state.prefix)
        alive = list(range(len(order)))
        for number, block in enumerate(blocks, state.first_block):
            if number + 1 in self.places and not state.ratios.is_dense:
                survivors = sorted(order[: kept_count(len(alive), state.ratios.tokens)])
                kept = torch.tensor([alive.index(patch) for patch in survivors], device=x.device).expand(len(x), -1)
                x, alive = gather_tokens(x, kept, state.prefix), survivors
                state.kept.append(kept)
                state.keys.append(None)
            x = run_block(block, x, ALL_KEYS, state, number)
        return x


@cache
def spread_order(patches: int) -> tuple[int, ...]:
    """The patches of a grid, as square as `patches` divides, in farthest-point order from its middle."""
    rows = max(rows for rows in range(1, isqrt(patches) + 1) if patches % rows == 0)
    columns = patches // rows
    cells = np.stack(np.divmod(np.arange(patches), columns), axis=1)
    order = [int(((2 * cells - (rows - 1, columns - 1)) ** 2).sum(axis=1).argmin())]
    nearest = np.full(patches, np.iinfo(np.int64).max)
    while len(order) < patches:
        nearest = np.minimum(nearest, ((cells - cells[order[-1]]) ** 2).sum(axis=1))
        order.append(int(nearest.argmax()))
    return tuple(order)
