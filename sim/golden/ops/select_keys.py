"""select_keys: the keys that each kept patch looks at most, itself always among them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sim.golden.fixed import Results, Stored
from sim.golden.selection import indices, largest


def select_keys(*, map: Tensor, kept: Tensor, batch: int, patches: int, keep: int, key_count: int, **_: Any) -> Results:
    """keys [batch * keep, key_count], positions in the kept list of their image.

    map is [batch * (1 + patches), 1 + patches], kept [batch, keep].
    """
    chosen = indices(kept, patches)
    scores = map.reshape(batch, 1 + patches, 1 + patches)[:, 1:, 1:].long()
    scores = scores.gather(1, chosen[:, :, None].expand(-1, -1, patches))
    scores = scores.gather(2, chosen[:, None, :].expand(-1, keep, -1))
    scores.diagonal(dim1=1, dim2=2).fill_(torch.iinfo(torch.int64).max)
    return {"keys": Stored(largest(scores, key_count).flatten(0, 1))}
