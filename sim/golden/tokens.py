"""Rows of a token tensor: class-token rows first, then the patch rows image by image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hls.spec.slots import CLASS_ROWS
from sim.golden.fixed import Shift, store
from sim.golden.slots import Statistics

PATCH, CLASS = 0, CLASS_ROWS
"""Which of a gradient's two slots, and so of its two fractions, a row has."""


def row_parts(rows: int, split: int) -> list[tuple[int, slice]]:
    """The kinds of rows that exist, in memory order: (CLASS or PATCH, its rows)."""
    parts = [(CLASS, slice(0, split)), (PATCH, slice(split, rows))]
    return [(kind, part) for kind, part in parts if part.start < part.stop]


def store_rows(
    parts: Sequence[tuple[int, Tensor, Shift]], f: Sequence[int]
) -> tuple[Tensor, tuple[Statistics, Statistics]]:
    """Mantissas and (patch, class) statistics of a gradient from (kind, accumulators, fraction) of its parts.

    The parts come in memory order; `f` is (patch, class).
    """
    changes = [Statistics(), Statistics()]
    values = []
    for kind, acc, fraction in parts:
        mantissas, changes[kind] = store(acc, fraction, f[kind])
        values.append(mantissas)
    return torch.cat(values), (changes[PATCH], changes[CLASS])


def tokens_of(matrix: Tensor, batch: int) -> Tensor:
    """[batch, tokens, columns] of a token matrix, the class token first."""
    patches = matrix[batch:].reshape(batch, -1, matrix.shape[-1])
    return torch.cat([matrix[:batch, None], patches], 1)


def rows_of(tokens: Tensor) -> Tensor:
    """The token matrix of [batch, tokens, columns]."""
    return torch.cat([tokens[:, 0], tokens[:, 1:].flatten(0, 1)])
