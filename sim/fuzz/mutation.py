"""Random damage to programs: flipped bits, swapped and extreme fields, repeated and missing instructions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hls.spec.instruction import ADDRESS_FIELD, FIELDS, HEADER, IMMEDIATE_FIELD, MAX_OPERANDS, checksum

Fields = NDArray[np.uint32]
"""A program [1 + instructions, 32]: the header and the instructions."""

SEALED = 0.9
"""Part of the mutated programs whose checksum is put right, so that the checks of the instructions are reached."""
HEADER_SHARE = 0.05
_COUNT, _SUM_LOW, _SUM_HIGH = (HEADER.index(name) for name in ("instructions", "sum_low", "sum_high"))
_EXTREMES = (0, 1, 2, 7, 8, 0xFF, 0x100, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFF)


def mutate(data: bytes, rng: np.random.Generator, window_words: int) -> bytes:
    """`data` with one to three mutations; it has at most three instructions more."""
    fields = np.frombuffer(data, "<u4").reshape(-1, FIELDS).copy()
    for _ in range(int(rng.integers(1, 4))):
        mutation = _MUTATIONS[int(rng.integers(len(_MUTATIONS)))]
        fields = mutation(fields, rng, window_words)
    if rng.random() < SEALED:
        _seal(fields)
    return fields.tobytes()


def _seal(fields: Fields) -> None:
    """Put the checksum right for as many instructions as the header says, when they are there."""
    count = int(fields[0, _COUNT])
    if 0 < count < len(fields):
        total = checksum(fields[1 : 1 + count].tobytes())
        fields[0, [_SUM_LOW, _SUM_HIGH]] = total & 0xFFFFFFFF, total >> 32


def _place(fields: Fields, rng: np.random.Generator) -> tuple[int, int]:
    """Row and column of a field, mostly one that is in use."""
    row = 0 if rng.random() < HEADER_SHARE else int(rng.integers(1, len(fields)))
    used = np.flatnonzero(fields[row])
    if len(used) and rng.random() < 0.9:
        return row, int(rng.choice(used))
    return row, int(rng.integers(FIELDS))


def _flip_bit(fields: Fields, rng: np.random.Generator, window_words: int) -> Fields:
    place = _place(fields, rng)
    width = max(8, int(fields[place]).bit_length() + 1) if rng.random() < 0.7 else 32
    fields[place] ^= np.uint32(1 << int(rng.integers(min(32, width))))
    return fields


def _swap_fields(fields: Fields, rng: np.random.Generator, window_words: int) -> Fields:
    row, column = _place(fields, rng)
    other = int(rng.integers(FIELDS))
    fields[row, [column, other]] = fields[row, [other, column]]
    return fields


def _copy_field(fields: Fields, rng: np.random.Generator, window_words: int) -> Fields:
    row, column = _place(fields, rng)
    fields[row, column] = fields[_place(fields, rng)]
    return fields


def _set_extreme(fields: Fields, rng: np.random.Generator, window_words: int) -> Fields:
    fields[_place(fields, rng)] = np.uint32(int(rng.choice(_EXTREMES)))
    return fields


def _nudge(fields: Fields, rng: np.random.Generator, window_words: int) -> Fields:
    place = _place(fields, rng)
    fields[place] = np.uint32((int(fields[place]) + int(rng.integers(-2, 3))) & 0xFFFFFFFF)
    return fields


def _move_to_the_edge(fields: Fields, rng: np.random.Generator, window_words: int) -> Fields:
    """An operand that just fits at the end of the window, or just does not."""
    row, column = int(rng.integers(1, len(fields))), ADDRESS_FIELD + int(rng.integers(MAX_OPERANDS))
    fields[row, column] = np.uint32(max(0, window_words - int(2 ** rng.uniform(0, 10))))
    return fields


def _change_immediate(fields: Fields, rng: np.random.Generator, window_words: int) -> Fields:
    row = int(rng.integers(1, len(fields)))
    column = IMMEDIATE_FIELD + int(rng.integers(3))
    if fields[row, column]:
        fields[row, column] = np.uint32(int(rng.integers(1 << 32)))
    return fields


def _repeat_instruction(fields: Fields, rng: np.random.Generator, window_words: int) -> Fields:
    source, target = rng.integers(1, len(fields), 2)
    return _counted(np.insert(fields, int(target), fields[int(source)], axis=0))


def _drop_instruction(fields: Fields, rng: np.random.Generator, window_words: int) -> Fields:
    return _counted(np.delete(fields, int(rng.integers(1, len(fields))), axis=0)) if len(fields) > 2 else fields


def _swap_instructions(fields: Fields, rng: np.random.Generator, window_words: int) -> Fields:
    one, other = rng.integers(1, len(fields), 2)
    fields[[one, other]] = fields[[other, one]]
    return fields


def _counted(fields: Fields) -> Fields:
    fields[0, _COUNT] = len(fields) - 1
    return fields


_MUTATIONS: tuple[Callable[[Fields, np.random.Generator, int], Fields], ...] = (
    _flip_bit, _flip_bit, _flip_bit, _swap_fields, _copy_field, _set_extreme, _nudge, _nudge, _move_to_the_edge,
    _move_to_the_edge, _change_immediate, _repeat_instruction, _drop_instruction, _swap_instructions,
)  # fmt: skip
