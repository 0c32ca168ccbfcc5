"""gemm_nt: the forward linear layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from sim.golden.calls import Flags, Fractions
from sim.golden.fixed import Results, Stored, align, exact_matmul
from sim.golden.ops.gelu import gelu
from sim.golden.tokens import row_parts, store_rows


def gemm_nt(
    *,
    x: Tensor,
    w: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    next_w: Tensor | None,
    rows: int,
    n: int,
    period: int,
    f: Fractions,
    flags: Flags,
    **_: Any,
) -> Results:
    """y [rows, n] = x [rows, k] w^T [n, k] + bias [1, n] + residual [period, n], GELU of it with the flag.

    `next_w` only comes on chip.
    """
    fraction = f["x"][0] + f["w"][0]
    weights = w.double().T  # once, not for every range of rows

    def accumulators() -> Iterator[tuple[int, Tensor, int]]:
        for kind, part in row_parts(rows, 0, n):
            acc = exact_matmul(x[part], weights)
            if bias is not None:
                acc += align(bias, f["bias"][0], fraction)
            if residual is not None:
                acc += align(_periodic_rows(residual, part, period), f["residual"][0], fraction)
            yield kind, acc, fraction

    if "GELU" not in flags:
        return {"y": Stored(*store_rows(accumulators(), f["y"]))}
    pre, pre_statistics = store_rows(accumulators(), f["pre"])
    return {"y": gelu(x=pre, f={"x": f["pre"], "y": f["y"]})["y"], "pre": Stored(pre, pre_statistics)}


def _periodic_rows(matrix: Tensor, part: slice, period: int) -> Tensor:
    """The rows r % period of a matrix for the rows r of a range."""
    if part.stop <= period:
        return matrix[part]
    return matrix[torch.arange(part.start, part.stop, device=matrix.device) % period]
