"""Contractions over class-token and patch rows into a weight gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from sim.golden.calls import Flags
from sim.golden.fixed import Stored, align, join, store
from sim.golden.tokens import row_parts


def sum_rows(rows: int, split: int, fractions: Sequence[int], partial: Callable[[slice], Tensor]) -> tuple[Tensor, int]:
    """The sum over all rows and its fraction; `partial` sums a range of rows, `fractions` is (patch, class)."""
    return join([(partial(part), fractions[kind]) for kind, part in row_parts(rows, split)])


def store_gradient(acc: Tensor, fraction: int, old: Tensor, f: int, flags: Flags) -> Stored:
    """An int32 weight gradient, added to the `old` one with ACCUMULATE."""
    if "ACCUMULATE" in flags:
        acc = acc + align(old, f, fraction)
    values, statistics = store(acc, fraction, f, 32)
    return Stored(values, (statistics,))
