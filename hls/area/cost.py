"""What an operator costs on UltraScale+: DSP slices, LUTs and nanoseconds. Every number is in `assumptions.py`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hls.area.assumptions import A
from hls.area.value import Value


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one operator."""

    dsp: int = 0
    lut: float = 0.0
    delay: float = 0.0
    stages: int = 0
    """Register stages inside it."""
    ff: float = 0.0


FREE = Cost()


def dsp_slices(a: int, b: int, result: int = 1 << 30) -> int:
    """DSP48E2 slices (27x18 signed) of a product of signed widths `a` and `b` of which `result` low bits are kept."""
    return min(_tiles(a, b, result), _tiles(b, a, result))


def _tiles(wide: int, narrow: int, result: int) -> int:
    across = range(1 if wide <= 27 else 1 + math.ceil((wide - 27) / 26))
    down = range(1 if narrow <= 18 else 1 + math.ceil((narrow - 18) / 17))
    return max(1, sum(1 for i in across for j in down if 26 * i + 17 * j < result))


def multiply(a: Value, b: Value, result: int) -> Cost:
    """A product; by a constant it is additions of shifted copies."""
    if a.fixed or b.fixed:
        fixed = a if a.fixed else b
        digits = _signed_digits(fixed.low) if fixed.is_constant else math.ceil(fixed.width / 3)
        other = b if a.fixed else a
        if digits <= 1:
            return FREE
        return Cost(
            lut=(digits - 1) * (other.width + fixed.width), delay=math.ceil(math.log2(digits)) * add_delay(other.width)
        )
    if min(a.width, b.width) == 1:
        return Cost(lut=max(a.width, b.width) / 2, delay=A["delay_logic"])
    if min(a.width, b.width) <= A["fabric_multiplier_bits"]:
        bits = min(a.width, b.width)
        return Cost(lut=bits * max(a.width, b.width), delay=bits / 2 * add_delay(max(a.width, b.width)))
    count = dsp_slices(a.signed_width, b.signed_width, result)
    stages = int(A["multiplier_stages"]) + (0 if count == 1 else math.ceil(math.log2(count)))
    return Cost(dsp=count, lut=0.0 if count == 1 else A["lut_a_multiplier_tile"] * count, stages=stages)


def _signed_digits(number: int) -> int:
    """Non-zero digits of the canonical signed form."""
    number, digits = abs(number), 0
    while number:
        if number & 1:
            digits += 1
            number += -1 if number & 3 == 1 else 1
        number >>= 1
    return digits


def add_delay(width: int) -> float:
    """Of a carry chain."""
    return A["delay_add"] + A["delay_carry_bit"] * width


def divide(dividend: Value, divisor: Value, pipelined: bool) -> Cost:
    """A divider; by a power of two it is a shift (with a correction of negative numbers)."""
    if divisor.is_constant and divisor.low > 0 and divisor.low & (divisor.low - 1) == 0:
        return FREE if dividend.low >= 0 else Cost(lut=dividend.width, delay=add_delay(dividend.width))
    bits, other = dividend.width, divisor.width
    if pipelined:
        return Cost(lut=bits * (other + 1), ff=bits * (bits + other), stages=bits + 2)
    return Cost(lut=A["lut_a_divider_bit"] * bits, ff=A["ff_a_divider_bit"] * bits, stages=bits + 3)


def operator(symbol: str, a: Value, b: Value, result: int) -> Cost:
    """Of `a symbol b` with `result` bits; not multiplication or division."""
    bits = max(a.width, b.width)
    if symbol in ("+", "-") and (a.is_carried or b.is_carried):
        return tree_addition(b if a.is_carried else a)
    if symbol in ("+", "-"):
        return Cost(lut=min(result, bits + 1), delay=add_delay(bits))
    if symbol in ("<", ">", "<=", ">="):
        constant = (a.is_constant and a.low == 0) or (b.is_constant and b.low == 0)
        return Cost(lut=0.5 if constant else bits / 2, delay=A["delay_logic"] if constant else add_delay(bits // 2))
    if symbol in ("==", "!="):
        return Cost(lut=bits / (6 if a.fixed or b.fixed else 3), delay=A["delay_logic"] * 2)
    if symbol in ("&&", "||"):
        return Cost(lut=0.5, delay=A["delay_logic"] / 2)
    if symbol in ("&", "|", "^"):
        return FREE if a.fixed or b.fixed else Cost(lut=result / 2, delay=A["delay_logic"])
    if symbol in ("<<", ">>"):
        return _shift(a, b, result)
    return Cost(lut=bits, delay=A["delay_logic"])


def tree_addition(term: Value) -> Cost:
    """One of the additions of a tree: half of them are one bit wider than the terms, a quarter two bits, and so on.

    Where the terms are products, the adders of the multipliers take every second one.
    """
    share = 0.5 if term.product else 1.0
    return Cost(lut=share * (term.width + 2), delay=add_delay(term.width + 2))


def _shift(a: Value, b: Value, result: int) -> Cost:
    """Levels of 2-way multiplexers, two in a LUT; those of a right shift are as wide as what the later ones need."""
    if b.fixed:
        return FREE
    distances = max(2, (min(b.high, max(result, a.width)) - max(b.low, 0) >> min(b.low_bits, 8)) + 1)
    levels = math.ceil(math.log2(distances))
    if a.fixed:  # a decoder
        return Cost(lut=result / 2, delay=A["delay_logic"])
    bits = sum(min(max(a.width, result), result + (1 << level) - 1) for level in range(levels))
    return Cost(lut=bits / 2, delay=A["delay_mux"] * math.ceil(levels / 2))


def choose(ways: int, width: int) -> Cost:
    """A multiplexer of `ways` inputs."""
    if ways <= 1:
        return FREE
    lut = width / 2 if ways == 2 else width * math.ceil(ways / 4)
    return Cost(lut=lut, delay=A["delay_mux"] * math.ceil(math.log2(ways) / 4))
