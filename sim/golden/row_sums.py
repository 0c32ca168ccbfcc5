"""Contractions over class-token and patch rows into a weight gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from sim.golden.calls import Flags
from sim.golden.fixed import Stored, align, join, store
from sim.golden.slots import Statistics
from sim.golden.tokens import row_parts


def sum_rows(rows: int, split: int, fractions: Sequence[int], partial: Callable[[slice], Tensor]) -> tuple[Tensor, int]:
    """The sum over all rows and its fraction; `partial` sums a range of rows, `fractions` is (patch, class)."""
    return join([(partial(part), fractions[kind]) for kind, part in row_parts(rows, split)])


def rounded_gradient(acc: Tensor, fraction: int, old: Tensor, f: int, flags: Flags) -> tuple[Tensor, Statistics]:
    """An int32 weight gradient, added to the `old` one with ACCUMULATE, and its statistics."""
    if "ACCUMULATE" in flags:
        acc = acc + align(old, f, fraction)
    return store(acc, fraction, f, 32)


def store_gradient(acc: Tensor, fraction: int, old: Tensor, f: int, flags: Flags) -> Stored:
    """The same as a result."""
    values, statistics = rounded_gradient(acc, fraction, old, f, flags)
    return Stored(values, (statistics,))
