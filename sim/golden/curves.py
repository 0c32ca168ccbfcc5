"""The tabulated functions: exponential, reciprocal square root, GELU and its slope, all integer (docs/numerics.md)."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from hls.spec import tables
from hls.spec.formats import EXPONENTIAL_BITS, PROBABILITY_BITS
from sim.golden.fixed import align, bit_length, round_shift

_TABLES = tables.load()
_LONGEST = 22
"""Whole halvings after which an exponential is 0."""
SATURATED_DISTANCE = (1 << 24) - 1
GELU_BITS = tables.GELU_BITS
SLOPE_BITS = tables.GELU_SLOPE_BITS


def _interpolate(table: Tensor, i: Tensor, v: Tensor, bits: int) -> Tensor:
    """Between entries `i` and `i + 1`, at `v` of 2**bits."""
    low = table[i]
    return low + (((table[i + 1] - low) * v + (1 << (bits - 1))) >> bits)


def _look_up(table: Tensor, index: Tensor) -> Tensor:
    # Faster than `take` and than indexing.
    return table.index_select(0, index.reshape(-1)).view(index.shape)


@cache
def _exponentials(device: torch.device) -> Tensor:
    """2**-t as U1.20 for every t of 16 fraction bits up to `_LONGEST`, where it is 0."""
    table = torch.tensor(_TABLES["exp2"], device=device)
    u = torch.arange(1 << 16, device=device)
    i, v = u >> 8, u & 255
    fall = ((table[i] - table[i + 1]) * v + 128) >> 8
    octave = table[i] - fall
    return torch.cat([*(round_shift(octave, n) for n in range(_LONGEST)), octave.new_zeros(1)])


def distance(d: Tensor, fraction: int) -> Tensor:
    """d * 2**-fraction for d >= 0, as U.16 of at most 24 bits."""
    if fraction < 16:
        d = d.clamp(max=1 << 24)
    return round_shift(d, fraction - 16).clamp(max=SATURATED_DISTANCE)


def exponential(d: Tensor, fraction: int, scale: int) -> Tensor:
    """2**-(d * 2**-fraction * scale * 2**-20) as U1.20, for d >= 0."""
    scale = max(0, min(1 << 23, scale))
    t = (distance(d, fraction) * scale).add_(1 << 19).bitwise_right_shift_(20).clamp_(max=_LONGEST << 16)
    return _look_up(_exponentials(d.device), t)


def probabilities(e: Tensor, total: Tensor) -> Tensor:
    """Exponentials over their row's total, as accumulators at fraction 48."""
    return e * ((1 << PROBABILITY_BITS) // total)


@cache
def _inverse_roots(device: torch.device) -> Tensor:
    return torch.tensor(_TABLES["rsqrt"], device=device)


def rsqrt(value: Tensor) -> tuple[Tensor, Tensor]:
    """(m, e) with 1 / sqrt(value) = m * 2**-16 * 2**-e, for value > 0."""
    e = (bit_length(value) - 1) >> 1
    shift = 2 * e - 24
    n = (value >> shift.clamp(min=0)) << (-shift).clamp(min=0)
    r0 = _inverse_roots(value.device)[(n >> 17) - 128]
    a = (n * r0 + (1 << 21)) >> 22
    b = (a * r0 + (1 << 13)) >> 14
    m = (r0 * ((3 << EXPONENTIAL_BITS) - b) + (1 << 20)) >> 21
    return m.clamp(1, 1 << 16), e


def _gelu_points(fraction: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Every int16 x in the order of its bits as unsigned, and its place (i, v) in the tables over abs(x)."""
    x = torch.arange(1 << 16, device=device)
    x = torch.where(x < 1 << 15, x, x - (1 << 16))
    a = round_shift(x.abs(), fraction - 16).clamp(max=1 << 19)
    i = (a >> 10).clamp(max=511)
    return x, i, a - (i << 10)


@cache
def _gelu_values(fraction: int, device: torch.device) -> Tensor:
    x, i, v = _gelu_points(fraction, device)
    table = torch.tensor(_TABLES["gelu"], device=device)
    return align(x.clamp(min=0), fraction, GELU_BITS) - _interpolate(table, i, v, 10)


@cache
def _gelu_slopes(fraction: int, device: torch.device) -> Tensor:
    x, i, v = _gelu_points(fraction, device)
    slope = _interpolate(torch.tensor(_TABLES["gelu_slope"], device=device), i, v, 10)
    return torch.where(x < 0, slope, (1 << SLOPE_BITS) - slope)


def gelu_value(x: Tensor, fraction: int) -> Tensor:
    """GELU of int16 mantissas at `fraction`, as accumulators at fraction 20."""
    return _look_up(_gelu_values(fraction, x.device), x.long() & 0xFFFF)


def gelu_slope(x: Tensor, fraction: int) -> Tensor:
    """GELU' of int16 mantissas at `fraction`, with 16 fraction bits."""
    return _look_up(_gelu_slopes(fraction, x.device), x.long() & 0xFFFF)
