"""Random and edge inputs of each leaf, and what the golden model makes of them.

A vector is an integer a port, drawn for every clock cycle anew; shifts and fractions, which the golden model takes a
tensor at a time, hold for a block of vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from hls.spec.config import HardwareConfig
from hls.spec.formats import LANES, PROBABILITY_BITS, limit
from sim.golden.curves import GELU_BITS, exponential, gelu_slope, gelu_value, rsqrt
from sim.golden.fixed import exact_matmul, round_shift, store
from sim.golden.selection import largest
from sim.rtl.leaf.leaf import Port
from sim.rtl.leaf.mac_cell import FACTORS
from sim.rtl.leaf.table import selection_banks

BLOCK = 500

Ports = dict[str, Tensor]
"""int64 [vectors] or, for a port of several integers, [vectors, integers]."""


@dataclass
class Draw:
    """A source of inputs; the same seed gives the same ones."""

    config: HardwareConfig
    vectors: int
    seed: int = 1
    random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """Integers in [low, high]: of all magnitudes, with the ends of the range and the surroundings of 0 often."""
        shape = (self.vectors, *shape)
        span = max(abs(low), abs(high)).bit_length()
        magnitude = self.random.integers(0, 1 << 63, shape, dtype=np.int64) >> (
            63 - self.random.integers(0, span + 1, shape)
        )
        signed = np.where(self.random.random(shape) < 0.5, magnitude, -magnitude)
        edges = np.array([low, low + 1, -1, 0, 1, high - 1, high], dtype=np.int64)
        chosen = np.where(self.random.random(shape) < 1 / 16, self.random.choice(edges, shape), signed)
        uniform = self.random.integers(low, high, shape, endpoint=True)
        return torch.from_numpy(np.where((chosen < low) | (chosen > high), uniform, chosen))

    def uniform(self, low: int, high: int, *shape: int) -> Tensor:
        """Integers in [low, high], all alike."""
        return torch.from_numpy(self.random.integers(low, high, (self.vectors, *shape), endpoint=True))

    def by_block(self, low: int, high: int) -> Tensor:
        """An integer in [low, high] for each block of vectors."""
        blocks = self.random.integers(low, high, (self.vectors + BLOCK - 1) // BLOCK, endpoint=True)
        return torch.from_numpy(np.repeat(blocks, BLOCK)[: self.vectors])


def blockwise(function: Callable[..., Tensor], shared: Tensor, *values: Tensor) -> Tensor:
    """`function(*values, shared)` block by block, `shared` as one integer."""
    parts = [
        function(*(value[at : at + BLOCK] for value in values), int(shared[at])) for at in range(0, len(shared), BLOCK)
    ]
    return torch.cat(parts)


def stored(value: Tensor, shift: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Mantissas of `bits` that golden stores, and whether each was saturated (which golden only counts)."""

    def block(values: Tensor, at: int) -> Tensor:
        mantissa, statistics = store(values, at, 0, bits)
        largest_kept = limit(bits) >> min(-at, 62) if at <= 0 else limit(bits)
        outside = round_shift(values, max(at, 0)).abs() > largest_kept
        assert statistics.saturations == int(outside.sum())
        return torch.stack([mantissa.long(), outside.long()], 1)

    both = blockwise(block, shift, value)
    return both[:, 0], both[:, 1]


def statistics(draw: Draw, value: Tensor, saturated: Tensor) -> tuple[Ports, Ports]:
    """The statistics before and after a store of `value`."""
    bits, saturations = draw.integers(0, (1 << 63) - 1), draw.integers(0, (1 << 32) - 2)
    after = {"all_bits": bits | magnitude(value), "all_saturations": saturations + saturated}
    return {"seen_bits": bits, "seen_saturations": saturations}, after


def crossed(draw: Draw) -> tuple[Ports, Tensor]:
    """Factors of a row and of a column, with their products and what a cell adds beside them."""
    factors = {port.name: draw.integers(-(1 << 15), limit(16)) for port in FACTORS}
    a0, a1, b0, b1 = factors.values()
    a, b = torch.stack([a0, a1], 1), torch.stack([b0, b1], 1)
    products = exact_matmul(a[:, None, :], b[:, :, None])[:, 0, 0]
    return factors, products + a0 * a1 + b0 * b1


def mac(draw: Draw) -> tuple[Ports, Ports]:
    """Sums that 48 bits hold."""
    factors, added = crossed(draw)
    restart, total = draw.uniform(0, 1), draw.integers(-(1 << 47) + (1 << 32), (1 << 47) - 1 - (1 << 32))
    return factors | {"restart": restart, "sum": total}, {"result": added + torch.where(restart == 1, 0, total)}


def mac_cell(draw: Draw) -> tuple[Ports, Ports]:
    """Sums of some dozens of products; the first vector opens one."""
    factors, added = crossed(draw)
    opens = (draw.uniform(0, 63) == 0).long()
    opens[0] = 1
    running = added.cumsum(0)
    before = torch.cat([running.new_zeros(1), running[:-1]])
    at_opening = torch.where(opens == 1, torch.arange(draw.vectors), 0).cummax(0).values
    return factors | {"opens": opens}, {"sum": running - before[at_opening]}


def _requantise(draw: Draw, bits: int) -> tuple[Ports, Ports]:
    value, shift = draw.integers(-(1 << 62) + 1, (1 << 62) - 1), draw.by_block(-70, 80)
    mantissa, saturated = stored(value, shift, bits)
    before, after = statistics(draw, value, saturated)
    return {"value": value, "shift": shift} | before, {"mantissa": mantissa} | after


def requantise16(draw: Draw) -> tuple[Ports, Ports]:
    """Accumulators below 2^62 (the shapes keep them there)."""
    return _requantise(draw, 16)


def requantise32(draw: Draw) -> tuple[Ports, Ports]:
    """The same, for gradients."""
    return _requantise(draw, 32)


def exponential_(draw: Draw) -> tuple[Ports, Ports]:
    """Any distance of two scores (64 products of 2^30 each stay far below 2^40), any scale."""
    distance, fraction = draw.integers(0, (1 << 40) - 1), draw.by_block(-60, 100)
    scale = draw.by_block(0, (1 << 24) - 1)
    parts = [
        exponential(distance[at : at + BLOCK], int(fraction[at]), int(scale[at]))
        for at in range(0, draw.vectors, BLOCK)
    ]
    return {"distance": distance, "fraction": fraction, "scale": scale}, {"value": torch.cat(parts)}


def reciprocal(draw: Draw) -> tuple[Ports, Ports]:
    """Every sum of up to 4096 exponentials of which one is 1."""
    total = draw.integers(1 << 20, 1 << 32)
    return {"sum": total}, {"value": (1 << PROBABILITY_BITS) // total}


def rsqrt_(draw: Draw) -> tuple[Ports, Ports]:
    """Every positive integer below 2^62."""
    value = draw.integers(1, (1 << 62) - 1)
    mantissa, exponent = rsqrt(value)
    return {"value": value}, {"mantissa": mantissa, "exponent": exponent}


def _gelu(draw: Draw, function: Callable[[Tensor, int], Tensor], result: str) -> tuple[Ports, Ports]:
    x, fraction = draw.integers(-limit(16), limit(16)), draw.by_block(-20, 60)
    return {"x": x, "fraction": fraction}, {result: blockwise(function, fraction, x)}


def gelu_value_(draw: Draw) -> tuple[Ports, Ports]:
    """Any mantissa."""
    return _gelu(draw, gelu_value, "value")


def gelu_slope_(draw: Draw) -> tuple[Ports, Ports]:
    """Any mantissa."""
    return _gelu(draw, gelu_slope, "slope")


def probability(draw: Draw) -> tuple[Ports, Ports]:
    """Any exponential and any reciprocal that can be its row's."""
    exponent, inverse = draw.integers(0, 1 << 20), draw.integers(1 << 16, 1 << 28)
    shift = PROBABILITY_BITS - draw.by_block(-10, 40)
    value = exponent * inverse
    mantissa, saturated = stored(value, shift, 16)
    before, after = statistics(draw, value, saturated)
    return {"exponential": exponent, "inverse": inverse, "shift": shift} | before, {"mantissa": mantissa} | after


def magnitude(value: Tensor) -> Tensor:
    """What a store of `value` adds to its statistics."""
    return value ^ (value >> 63)


def normalise(draw: Draw) -> tuple[Ports, Ports]:
    """(n x - sum) times an inverse deviation, stored, times gamma plus beta, stored."""
    x, gamma, beta = (draw.integers(-limit(bits), limit(bits)) for bits in (18, 16, 16))
    scale, offset = draw.integers(0, (1 << 26) - 1), draw.integers(-(1 << 46), 1 << 46)
    shift, beta_shift, y_shift = draw.by_block(0, 50), draw.by_block(-31, 20), draw.by_block(-20, 40)
    acc = x * scale - offset
    normalised, _ = stored(acc, shift, 16)
    moved = gamma * normalised + blockwise(round_shift, beta_shift, beta)
    y, _ = stored(moved, y_shift, 16)
    inputs = {"x": x, "scale": scale, "offset": offset, "shift": shift}
    inputs |= {"gamma": gamma, "beta": beta, "beta_shift": beta_shift, "y_shift": y_shift}
    outputs = {"normalised": normalised, "normalised_bits": magnitude(acc), "y": y, "y_bits": magnitude(moved)}
    return inputs, outputs


def epilogue(draw: Draw) -> tuple[Ports, Ports]:
    """A sum through every combination of GELU's slope, bias, residual and GELU, or as a gradient that is added to."""
    total = draw.integers(-limit(45), limit(45))
    bias, saved = draw.integers(-limit(16), limit(16)), draw.integers(-limit(16), limit(16))
    flags = ("has_bias", "adds", "has_gelu", "has_gelu_backward", "is_gradient", "is_input")
    flag = {name: draw.by_block(0, 1) for name in flags}
    wide = flag["is_gradient"] == 1
    flag |= {name: flag[name] * (~wide).long() for name in ("has_gelu", "has_gelu_backward")}
    forward = 1 - flag["has_gelu_backward"]  # what no other form of GEMM has
    flag |= {name: flag[name] * forward for name in ("has_gelu", "has_bias")}
    addend = torch.where(wide, draw.integers(-limit(32), limit(32)), draw.integers(-limit(16), limit(16)))
    fractions = {name: draw.by_block(-5, 25) for name in ("fraction", "f_bias", "f_residual", "f_pre", "f_out")}
    fraction, f_bias, f_residual, f_pre, f_out = fractions.values()

    acc = total * torch.where(flag["has_gelu_backward"] == 1, blockwise(gelu_slope, f_pre, saved), 1)
    acc += blockwise(round_shift, f_bias - fraction, bias) * flag["has_bias"]
    acc += blockwise(round_shift, torch.where(wide, f_out, f_residual) - fraction, addend) * flag["adds"]
    pre, _ = stored(acc, fraction - f_pre, 16)
    gelu = blockwise(gelu_value, f_pre, pre)
    plain = torch.where(wide, stored(acc, fraction - f_out, 32)[0], stored(acc, fraction - f_out, 16)[0])
    through = torch.where(flag["is_input"] == 1, pre, stored(gelu, GELU_BITS - f_out, 16)[0])
    mantissa = torch.where(flag["has_gelu"] == 1, through, plain)
    seen = torch.where((flag["has_gelu"] == 1) & (flag["is_input"] == 0), gelu, acc)
    inputs = {"sum": total, "bias": bias, "addend": addend, "saved": saved} | flag | fractions
    return inputs, {"mantissa": mantissa, "bits_of_it": magnitude(seen)}


def look_at_bits(draw: Draw) -> tuple[Ports, Ports]:
    """A bit of all candidates; golden says which bit the last one wanted has."""
    candidates = LANES * selection_banks(draw.config)
    bits = draw.uniform(0, 1, candidates) & draw.uniform(0, 1, candidates) | draw.uniform(0, 1, 1)
    tied = (draw.uniform(0, 15, candidates) <= draw.uniform(0, 15, 1)).long()
    tied[:, 0] |= (tied.sum(1) == 0).long()
    wanted = draw.by_block(1, draw.config.max_patches).clamp(max=tied.sum(1)).clamp(min=1)
    in_question = torch.where(tied == 1, bits, -1)
    order = torch.zeros_like(bits)
    for count in sorted(set(wanted.tolist())):
        rows = wanted == count
        kept = largest(in_question[rows], count)
        order[rows] = in_question[rows].gather(1, kept).amin(1, keepdim=True).expand(-1, candidates)
    chosen, still_tied = (in_question > order).long(), (in_question == order).long()
    inputs = {"next_bits": _bytes(bits), "tied": _bytes(tied), "wanted": wanted}
    return inputs, {"chosen": _bytes(chosen), "still_tied": _bytes(still_tied), "still_wanted": wanted - chosen.sum(1)}


def _bytes(bits: Tensor) -> Tensor:
    """Eight neighbouring bits as one number, the first one lowest."""
    weights = 1 << torch.arange(LANES)
    return (bits.reshape(len(bits), -1, LANES) * weights).sum(2)


SOURCES: dict[str, Callable[[Draw], tuple[Ports, Ports]]] = {
    "mac": mac,
    "mac_cell": mac_cell,
    "mac_cell_primitive": mac_cell,
    "requantise16": requantise16,
    "requantise32": requantise32,
    "exponential": exponential_,
    "reciprocal": reciprocal,
    "rsqrt": rsqrt_,
    "gelu_value": gelu_value_,
    "gelu_slope": gelu_slope_,
    "probability": probability,
    "normalise": normalise,
    "epilogue": epilogue,
    "look_at_bits": look_at_bits,
}


def packed(port: Port, values: Tensor) -> list[int]:
    """A port's values as unsigned words, the first of several integers in the lowest bits."""
    mask = (1 << port.width) - 1
    columns = values.reshape(len(values), port.count).tolist()
    return [sum((value & mask) << port.width * at for at, value in enumerate(row)) for row in columns]


def joined(ports: Sequence[Port], values: Mapping[str, Tensor]) -> list[int]:
    """Several ports as one word, the first one in the highest bits."""
    words = [0] * len(next(iter(values.values())))
    for port in ports:
        words = [word << port.bits | value for word, value in zip(words, packed(port, values[port.name]), strict=True)]
    return words
