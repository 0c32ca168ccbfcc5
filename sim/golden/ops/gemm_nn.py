"""gemm_nn: the gradient of a linear layer's input."""

from __future__ import annotations

from collections.abc import Iterator
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
    next_w: Tensor | None,
    rows: int,
    split: int,
    n: int,
    k: int,
    segments: int,
    f: Fractions,
    **_: Any,
) -> Results:
    """dx [rows, n] = (dy [rows, k] w [k, n]) * GELU'(pre [rows, n]) + residual [rows, n].

    `next_w` only comes on chip.
    """
    width = k // segments
    segment_columns = [slice(s * width, (s + 1) * width) for s in range(segments)]
    weights = w.double()  # once, not for every range of rows

    def accumulators() -> Iterator[tuple[int, Tensor, int]]:
        for kind, part in row_parts(rows, split, n):
            sums = [exact_matmul(dy[part, columns], weights[columns]) for columns in segment_columns]
            acc, fraction = join([(acc, f["dy"][2 * s + kind] + f["w"][0]) for s, acc in enumerate(sums)])
            if pre is not None:
                acc *= gelu_slope(pre[part], f["pre"][0])
                fraction += SLOPE_BITS
            if residual is not None:
                acc += align(residual[part], f["residual"][kind], fraction)
            yield kind, acc, fraction

    return {"dx": Stored(*store_rows(accumulators(), f["dx"]))}
