"""scatter_tokens: the backward of gather_tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sim.golden.fixed import Results, Stored
from sim.golden.selection import indices


def scatter_tokens(*, dy: Tensor, kept: Tensor, batch: int, patches: int, keep: int, **_: Any) -> Results:
    """dx [batch * (1 + patches), n]: class rows, kept patch rows, and zeros for the pruned ones."""
    # The position in the kept list of every patch, the last one where an index repeats, and -1 where it is pruned.
    position = torch.arange(keep, device=dy.device).expand(batch, -1)
    source = position.new_full((batch, patches), -1).scatter_reduce(1, indices(kept, patches), position, "amax")
    rows = batch + torch.arange(batch, device=dy.device)[:, None] * keep + source.clamp(min=0)
    patch_rows = dy[rows] * (source >= 0)[:, :, None]
    return {"dx": Stored(torch.cat([dy[:batch], patch_rows.flatten(0, 1)]))}
