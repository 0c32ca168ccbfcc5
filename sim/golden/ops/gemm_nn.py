"""gemm_nn: the gradient of a linear layer's input."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sim.golden.calls import Fractions
from sim.golden.curves import SLOPE_BITS, gelu_slope
from sim.golden.fixed import Results, Stored, align, exact_matmul, join
from sim.golden.tokens import row_parts, store_rows


def gemm_nn(
    *,
    dy: Tensor,
    w: Tensor,
    residual: Tensor | None,
    pre: Tensor | None,
    rows: int,
    split: int,
    k: int,
    segments: int,
    f: Fractions,
    **_: Any,
) -> Results:
    """dx [rows, n] = (dy [rows, k] w [k, n]) * GELU'(pre [rows, n]) + residual [rows, n]."""
    width = k // segments
    products = [
        exact_matmul(dy[:, s * width : (s + 1) * width], w[s * width : (s + 1) * width]) for s in range(segments)
    ]
    parts = []
    for kind, part in row_parts(rows, split):
        acc, fraction = join([(p[part], f["dy"][2 * s + kind] + f["w"][0]) for s, p in enumerate(products)])
        if pre is not None:
            acc = acc * gelu_slope(pre[part], f["pre"][0])
            fraction += SLOPE_BITS
        if residual is not None:
            acc = acc + align(residual[part], f["residual"][kind], fraction)
        parts.append((kind, acc, fraction))
    return {"dx": Stored(*store_rows(parts, f["dx"]))}
