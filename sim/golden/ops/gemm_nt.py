"""gemm_nt: the forward linear layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sim.golden.calls import Flags, Fractions
from sim.golden.curves import GELU_BITS, gelu_value
from sim.golden.fixed import Results, Stored, align, exact_matmul, store


def gemm_nt(
    *,
    x: Tensor,
    w: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    rows: int,
    period: int,
    f: Fractions,
    flags: Flags,
    **_: Any,
) -> Results:
    """y [rows, n] = x [rows, k] w^T [n, k] + bias [1, n] + residual [period, n], GELU of it with the flag."""
    acc, fraction = exact_matmul(x, w.T), f["x"][0] + f["w"][0]
    if bias is not None:
        acc += align(bias, f["bias"][0], fraction)
    if residual is not None:
        aligned = align(residual, f["residual"][0], fraction)
        acc += aligned if period == rows else aligned[torch.arange(rows, device=acc.device) % period]
    if "GELU" not in flags:
        y, statistics = store(acc, fraction, f["y"][0])
        return {"y": Stored(y, (statistics,))}
    pre, pre_statistics = store(acc, fraction, f["pre"][0])
    y, statistics = store(gelu_value(pre, f["pre"][0]), GELU_BITS, f["y"][0])
    return {"y": Stored(y, (statistics,)), "pre": Stored(pre, (pre_statistics,))}
