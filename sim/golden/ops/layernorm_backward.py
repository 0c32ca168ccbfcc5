"""layernorm_backward: the gradients of a layer norm's input, scale and offset."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hls.spec.formats import MAX_SEGMENT_SPREAD
from sim.golden.calls import Flags, Fractions
from sim.golden.fixed import Results, Stored, round_shift
from sim.golden.norm import INVERSE_ROOT_BITS, unpacked
from sim.golden.row_sums import store_gradient, sum_rows
from sim.golden.tokens import row_parts, store_rows

_MAX_PLACES = 31


def layernorm_backward(
    *,
    dy: Tensor,
    normalised: Tensor,
    rstd: Tensor,
    gamma: Tensor,
    residual: Tensor | None,
    dgamma: Tensor,
    dbeta: Tensor,
    rows: int,
    split: int,
    n: int,
    f: Fractions,
    flags: Flags,
    **_: Any,
) -> Results:
    """dx [rows, n] with the residual's gradient added, dgamma and dbeta [1, n]."""
    wide, normal = dy.long(), normalised.long()
    m, e = unpacked(rstd.T)
    (fn,) = f["normalised"]
    parts = []
    for kind, part in row_parts(rows, split):
        acc = _centred(wide[part] * gamma.long(), normal[part], n, fn).mul_(m[part])
        fraction = f["dy"][kind] + f["gamma"][0] + INVERSE_ROOT_BITS - f["rstd"][0] + e[part]
        if residual is not None:
            acc, fraction = _joined(acc, fraction, residual[part].long(), f["residual"][kind])
        parts.append((kind, acc, fraction))
    product_fractions = [g + fn for g in f["dy"]]
    scaled = sum_rows(rows, split, product_fractions, lambda part: _column_sum(wide[part] * normal[part]))
    plain = sum_rows(rows, split, f["dy"], lambda part: _column_sum(wide[part]))
    return {
        "dx": Stored(*store_rows(parts, f["dx"])),
        "dgamma": store_gradient(*scaled, dgamma, f["dgamma"][0], flags),
        "dbeta": store_gradient(*plain, dbeta, f["dbeta"][0], flags),
    }


def _centred(g: Tensor, normal: Tensor, n: int, fn: int) -> Tensor:
    """n times: g less its mean and less its projection on the normalised row, in 48 bits."""
    places = max(0, min(_MAX_PLACES, fn))
    first = g.sum(1, keepdim=True)
    second = _low48(round_shift((g * normal).sum(1, keepdim=True), places))
    return _low48((g * n).sub_(first).sub_(round_shift(normal * second, places)))


def _low48(values: Tensor) -> Tensor:
    return values << 16 >> 16


def _joined(acc: Tensor, fraction: Tensor, residual: Tensor, f: int) -> tuple[Tensor, Tensor]:
    """The sum at `reference_fraction`, which differs by row as `fraction` does."""
    common = torch.minimum(fraction.clamp(min=f), fraction.clamp(max=f) + MAX_SEGMENT_SPREAD)
    return round_shift(acc, fraction - common) + round_shift(residual, f - common), common


def _column_sum(values: Tensor) -> Tensor:
    return values.sum(0, keepdim=True)
