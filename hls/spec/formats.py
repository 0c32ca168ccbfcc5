"""Number formats and the one rounding rule, in plain Python integers.

A number is an integer mantissa ``m`` with a fraction ``f``: its value is ``m * 2**-f``. Every fraction is an entry of
the slot table (`hls.spec.slots`). These functions *are* the definition; `hls/include/fixed.hpp` and
`sim/golden/fixed.py` state the same in C++ and in torch, and the tests hold the three equal.
Source: research/numerics.md, "Specification".
"""

from __future__ import annotations

WORD_BYTES = 16
"""Bytes of one DDR word: the memory ports are 128 bits wide, and addresses count such words."""

LANES = 8
"""int16 elements of one DDR word. Every row of a matrix is padded with zeros to a multiple of this."""

ELEMENT_BYTES = {"i16": 2, "u16": 2, "i32": 4}
"""Element types of matrices in DDR."""

STATE = "state"
"""The low half of a master weight (int16) and the optimizer's state of it (int32): of eight elements all halves, then
all states, so that what an update moves lies together. The high half is the weight that the datapath reads."""

STATE_WORDS = 3
"""DDR words of `STATE` that eight elements take: one of low halves and two of states."""


def stored_as(element: str, columns: int) -> tuple[str, int]:
    """Element type and columns of a row as it lies in DDR, where eight elements of `STATE` are 24 of int16."""
    return ("i16", STATE_WORDS * -(-columns // LANES) * LANES) if element == STATE else (element, columns)


ACCUMULATOR_BITS = 48
"""Width of the multiply-accumulate registers (one DSP48E2 each)."""

MAX_CONTRACTION = 1 << 17
"""Products of two int16 that a 48-bit accumulator adds without wrapping."""

WIDE_BITS = 64
"""Width of the epilogue arithmetic; sums wrap there, which shapes within the limits cannot reach."""

MASTER_SHIFT = 16
"""A master weight (int32) has this many more fraction bits than the int16 weight that the datapath reads.

The weight is the master weight, rounded; what rounding left is the low half: master = weight * 2**16 + low.
"""

MASTER_MIN, MASTER_MAX = (
    -(32767 << MASTER_SHIFT) - (1 << MASTER_SHIFT - 1),
    (32767 << MASTER_SHIFT) + (1 << MASTER_SHIFT - 1) - 1,
)
"""A master weight is limited to what rounds to a weight within its symmetric range."""

MOMENTUM_GUARD = 4
"""A momentum value has this many fewer fraction bits than its gradient: room for the sum 1 / (1 - mu)."""

MOMENT_SIGNIFICAND_BITS = 11
"""Bits of a moment code's significand, the hidden one included: rounding is off by at most 2**-11 of the value."""

EXP_AVG_BITS, EXP_AVG_FRACTION = 15, 37
"""AdamW's first moment: code of the magnitude (a sign bit stands above it), and fraction of its unit.

Averaged gradients below 2**4 fit, and above 2**-27, where `eps` takes over, they have their full significand.
"""

EXP_AVG_SQ_BITS, EXP_AVG_SQ_FRACTION = 16, 64
"""AdamW's second moment: code without a sign, and fraction of its unit. It holds squares of what the first holds."""

MOMENT_GUARD = 8
"""Bits kept below the significands while old and new are brought to one exponent."""

SHARE_BITS = 16
"""Fraction bits of the share that the new gradient has in a moment: 1 - beta."""

DECAY_DROP = 8
"""Bits of a master weight that AdamW's decay leaves out, so that one multiplier is enough."""

PROBABILITY_BITS = 48
"""Fraction bits of exponential times reciprocal before a softmax probability is rounded."""

EXPONENTIAL_BITS = 20
"""Fraction bits of an exponential: a value in [0, 1] as U1.20."""

MAX_ALIGN = 31
"""Largest left shift of `round_shift`; a longer one is cut to it."""

MAX_SEGMENT_SPREAD = 16
"""Largest left shift when segments of one contraction with different fractions are added."""


def limit(bits: int) -> int:
    """Largest magnitude of a signed `bits`-wide mantissa; the range is symmetric."""
    return (1 << (bits - 1)) - 1


def saturate(value: int, bits: int) -> int:
    """Clamp `value` to the symmetric range of a `bits`-wide mantissa."""
    return max(-limit(bits), min(limit(bits), value))


def round_shift(value: int, shift: int) -> int:
    """`value * 2**-shift`, rounded half up; a negative shift is a left shift of at most `MAX_ALIGN`.

    A shift above 62 gives 0 (the value is below half a unit there).
    """
    if shift > 62:
        return 0
    if shift > 0:
        return (value + (1 << (shift - 1))) >> shift
    return value << min(-shift, MAX_ALIGN)


def requantise(value: int, shift: int, bits: int = 16) -> int:
    """Round `value` by `shift` and saturate it to `bits`: the only way in which a stored mantissa is made."""
    if shift > 0:
        return saturate(round_shift(value, shift), bits)
    bound = 1 << (bits - 1)
    return saturate(max(-bound, min(bound, value)) << min(-shift, bits - 1), bits)


def bit_length(value: int) -> int:
    """Bits of the magnitude as the hardware counts them: ``value ^ sign``, so that -1 has none."""
    return (value ^ (value >> 63)).bit_length()


def reference_fraction(fractions: list[int]) -> int:
    """Fraction at which the segments of one contraction are added.

    The largest one, so that every segment is shifted left and nothing is rounded, unless they differ by more than
    `MAX_SEGMENT_SPREAD`; then the coarsest is shifted by that much and finer ones are rounded.
    """
    return min(max(fractions), min(fractions) + MAX_SEGMENT_SPREAD)


def scale_mantissa(value: float) -> tuple[int, int]:
    """A positive real as ``(m, shift)``: ``value = m * 2**-shift`` with a 16-bit ``m`` in [2**15, 2**16)."""
    if not value > 0:
        raise ValueError(f"a scale must be positive, got {value}")
    shift = 0
    while round(value * 2.0**shift) < 1 << 15:
        shift += 1
    while round(value * 2.0**shift) >= 1 << 16:
        shift -= 1
    return round(value * 2.0**shift), shift


def decode_moment(code: int) -> tuple[int, int]:
    """Significand and exponent of a moment code: it stands for ``significand * 2**exponent`` units.

    A code is an exponent field above a significand without its highest bit, which is 1 unless the field is 0: codes
    are in the order of what they stand for, and neighbouring codes stand for neighbouring values.
    """
    hidden = 1 << (MOMENT_SIGNIFICAND_BITS - 1)
    field, low = divmod(code, hidden)
    return (low, 0) if field == 0 else (hidden + low, field - 1)


def encode_moment(value: int, exponent: int, bits: int) -> int:
    """The `bits`-wide code nearest to ``value * 2**exponent`` units, for `value` >= 0; halves go up, the end saturates.

    The exponent of the code is added to its field above the significand, whose hidden bit makes the field 1 more: so a
    significand that rounds up to the next power of two, and one without a hidden bit, need no case of their own.
    """
    if value == 0:
        return 0
    drop = max(value.bit_length() - MOMENT_SIGNIFICAND_BITS, -exponent)
    code = ((exponent + drop) << (MOMENT_SIGNIFICAND_BITS - 1)) + round_shift(value, drop)
    return min(code, (1 << bits) - 1)


def blend(old: tuple[int, int], new: tuple[int, int], share: int) -> tuple[int, int]:
    """``old + share * 2**-SHARE_BITS * (new - old)`` of two scaled numbers (value, exponent), as such a number.

    `old` is a decoded moment, `new` has 16 bits (2**16 included); either may be negative. The one with the lower
    exponent is rounded to the other's, `MOMENT_GUARD` bits below; a `new` of zero leaves the exponent to `old`.
    """
    lift = 16 - MOMENT_SIGNIFICAND_BITS
    old_exponent = old[1] - lift
    top = max(old_exponent, new[1]) if new[0] else old_exponent
    a = round_shift(old[0] << (lift + MOMENT_GUARD), top - old_exponent)
    b = round_shift(new[0] << MOMENT_GUARD, top - new[1]) if new[0] else 0
    return (a << SHARE_BITS) + (b - a) * share, top - MOMENT_GUARD - SHARE_BITS
