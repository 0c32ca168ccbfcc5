"""select_tokens: the patches that the class token looks at most."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sim.golden.fixed import Results, Stored
from sim.golden.selection import largest


def select_tokens(*, map: Tensor, map_rows: int, keep: int, **_: Any) -> Results:
    """kept [batch, keep] of the class query's row of each image in map [batch * map_rows, 1 + patches]."""
    return {"kept": Stored(largest(map[::map_rows, 1:], keep))}
