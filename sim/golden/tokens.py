"""Rows of a token tensor: class-token rows first, then the patch rows image by image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from hls.spec.slots import CLASS_ROWS
from sim.golden.fixed import Shift, store
from sim.golden.slots import Statistics

PATCH, CLASS = 0, CLASS_ROWS
"""Which of a gradient's two slots, and so of its two fractions, a row has."""

_ELEMENTS = 1 << 17
"""Elements of a range of rows: larger ones are faster only until their temporaries leave the cache."""


def row_parts(rows: int, split: int, columns: int = 0) -> list[tuple[int, slice]]:
    """The rows that exist, in memory order: (CLASS or PATCH, a range of rows).

    With `columns` the ranges are short enough for what is computed of them to stay in the cache.
    """
    longest = max(1, _ELEMENTS // columns) if columns else max(1, rows)
    ranges = [(CLASS, 0, split), (PATCH, split, rows)]
    return [
        (kind, slice(first, min(first + longest, end)))
        for kind, start, end in ranges
        for first in range(start, end, longest)
    ]


def store_rows(parts: Iterable[tuple[int, Tensor, Shift]], f: Sequence[int]) -> tuple[Tensor, tuple[Statistics, ...]]:
    """Mantissas and statistics of a tensor from (kind, accumulators, fraction) of its parts in memory order.

    `f` and the statistics are of one slot a kind: (patch, class) of a gradient, one where all rows are `PATCH` ones.
    """
    changes = [Statistics()] * len(f)
    values = []
    for kind, acc, fraction in parts:
        mantissas, seen = store(acc, fraction, f[kind])
        values.append(mantissas)
        changes[kind] += seen
    return torch.cat(values), tuple(changes)


def tokens_of(matrix: Tensor, batch: int) -> Tensor:
    """[batch, tokens, columns] of a token matrix, the class token first."""
    patches = matrix[batch:].reshape(batch, -1, matrix.shape[-1])
    return torch.cat([matrix[:batch, None], patches], 1)


def rows_of(tokens: Tensor) -> Tensor:
    """The token matrix of [batch, tokens, columns]."""
    return torch.cat([tokens[:, 0], tokens[:, 1:].flatten(0, 1)])
