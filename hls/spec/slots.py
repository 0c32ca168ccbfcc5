"""The slot table: the fraction of every tensor, its statistics and its history.

Slots live in DDR (`RECORD_WORDS` words each), are held on chip during a program and written back at its end. An
instruction names slots, not fractions, so a program stays valid while the fractions move. A gradient tensor has two
neighbouring slots: the first for patch rows, the second for class-token rows.
"""

from __future__ import annotations

RECORD_WORDS = 2
"""DDR words of a slot: ``i32 f, i32 f_previous, i32 peak, u32 saturations, i8 history[16]`` (newest first)."""

HISTORY = 16
"""Optimizer steps that an exponent looks back over."""

EMPTY = -128
"""`peak` and history entries before anything but zeros was seen."""

F_MIN, F_MAX = -32, 64
"""Range of a fraction; an update is clamped to it."""

CLASS_ROWS = 1
"""Offset from a gradient's slot (patch rows) to that of its class-token rows."""

RESCALE_PEAK = 31
"""Bit length of a master weight at which the tensor is halved at the next update."""


def updated_fraction(history: list[int], bits: int, margin: int) -> int:
    """Fraction for a `bits`-wide magnitude (15 or 31) from the peaks of the last steps.

    A peak ``e`` says that every value was below ``2**e`` (numerics.md, "Exponent update").
    """
    return max(F_MIN, min(F_MAX, bits - margin - max(history)))
