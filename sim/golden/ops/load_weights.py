"""load_weights: what comes on chip changes no memory."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sim.golden.fixed import Results


def load_weights(*, w: Tensor, **_: Any) -> Results:
    """Nothing of w [n, k]."""
    return {}
