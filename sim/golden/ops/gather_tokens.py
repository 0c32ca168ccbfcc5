"""gather_tokens: the rows of the tokens that are kept."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sim.golden.fixed import Results, Stored
from sim.golden.selection import indices


def gather_tokens(*, x: Tensor, kept: Tensor, batch: int, patches: int, **_: Any) -> Results:
    """y [batch * (1 + keep), n]: the class rows of x, then of each image the patch rows in kept [batch, keep]."""
    first = torch.arange(batch, device=x.device)[:, None]
    rows = batch + first * patches + indices(kept, patches)
    return {"y": Stored(x[torch.cat([first, rows.reshape(-1, 1)])[:, 0]])}
