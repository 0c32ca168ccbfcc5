"""layernorm: forward."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from hls.spec import formats
from sim.golden.calls import Fractions
from sim.golden.curves import rsqrt
from sim.golden.fixed import Results, Stored, align, store
from sim.golden.norm import INVERSE_ROOT_BITS, packed


def layernorm(
    *,
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    n: int,
    epsilon_mantissa: int,
    epsilon_shift: int,
    f: Fractions,
    **_: Any,
) -> Results:
    """y = gamma [1, n] * normalised + beta [1, n]; saved: normalised [rows, n]; inverse deviations rstd [1, rows]."""
    wide = x.long()
    s1, s2 = wide.sum(1, keepdim=True), (wide * wide).sum(1, keepdim=True)
    epsilon = max(1, formats.round_shift(epsilon_mantissa, epsilon_shift - 2 * f["x"][0]))
    m, e = rsqrt(n * s2 - s1 * s1 + epsilon)
    centred = wide.mul_(n).sub_(s1).mul_(m)
    normalised, normalised_statistics = store(centred, INVERSE_ROOT_BITS + e, f["normalised"][0])
    fraction = f["gamma"][0] + f["normalised"][0]
    acc = normalised.long() * gamma.long()
    y, statistics = store(acc.add_(align(beta, f["beta"][0], fraction)), fraction, f["y"][0])
    return {
        "normalised": Stored(None, (normalised_statistics,)),
        "y": Stored(y, (statistics,)),
        "saved": Stored(normalised),
        "rstd": Stored(packed(m, e).T),
    }
