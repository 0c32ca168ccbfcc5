"""The op table as numbers: what the accelerator's legality unit looks up by opcode instead of holding a circuit an op.

A shape expression is a product of up to three factors, each a dimension, a dimension plus one, or a small integer; a
dimension may be added to it (`hls/spec/pieces.py`). A factor's code is an index into the sizes of an instruction (its
dimensions, then `CONSTANTS`), with `PLUS_ONE` for one more. Rules are written over positions (``d[1] <= d[0]``), so
that ops share them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hls.spec.config import HardwareConfig
from hls.spec.formats import LANES
from hls.spec.instruction import MAX_DIMENSIONS, MAX_OPERANDS
from hls.spec.legality import words_per_row
from hls.spec.ops import Access, Op, Operand, Slot
from hls.spec.pieces import addend

CONSTANTS = (0, 3, 8)
"""Sizes behind the dimensions."""
DIMENSION_STRIDE = 16
"""Dimensions of an op in a table, a power of two."""
PLUS_ONE = 16
FACTOR_BITS = 5
FACTORS = 3
_ONE = MAX_DIMENSIONS + CONSTANTS.index(0) + PLUS_ONE

FLAG_BITS = 6
EXISTS, IN_MEMORY, HAS_SLOT = (1 << FLAG_BITS + i for i in range(3))
SPAN_SHIFT = FLAG_BITS + 3
SPAN_BY_SEGMENTS = 7
WIDTH_SHIFT = SPAN_SHIFT + 3
ADDEND_SHIFTS = (WIDTH_SHIFT + 2, WIDTH_SHIFT + 6)
"""Use of an operand: its flag, the three bits above, its slots (this many are two for each segment), the words that
eight elements take, and which sizes are added to its rows and to its columns."""


def factor(text: str, dimensions: Sequence[str]) -> int:
    """Code of one factor: ``n``, ``(1 + patches)``, ``3``."""
    text = text.strip("() ")
    if text.startswith("1 + "):
        return factor(text.removeprefix("1 + "), dimensions) + PLUS_ONE
    if text in dimensions:
        return dimensions.index(text)
    return _ONE if text == "1" else MAX_DIMENSIONS + CONSTANTS.index(int(text))


def product(expression: str, dimensions: Sequence[str]) -> int:
    """Codes of a shape expression's factors, the first one lowest."""
    codes = [factor(text, dimensions) for text in expression.split("*")]
    codes += [_ONE] * (FACTORS - len(codes))
    return sum(code << FACTOR_BITS * i for i, code in enumerate(codes))


def shapes(op: Op) -> list[int]:
    """Rows and columns of each operand."""
    found = [_shape(operand, op) for operand in op.operands]
    return found + [0] * (MAX_OPERANDS - len(found))


def _shape(operand: Operand, op: Op) -> int:
    rows, columns = (product(_split(text)[1], op.dimensions) for text in (operand.rows, operand.columns))
    return rows | columns << FACTORS * FACTOR_BITS


def _split(expression: str) -> tuple[str | None, str]:
    """The addend of a shape expression, and its product."""
    name = addend(expression)
    return name, expression.removeprefix(f"{name} + ")


def uses(op: Op) -> list[int]:
    """Flag, presence, slots, width and addends of each operand; 0 for those that the op does not have."""
    found = [_use(operand, op) for operand in op.operands]
    return found + [0] * (MAX_OPERANDS - len(found))


def _width(operand: Operand) -> int:
    """Words that eight elements take, 1 to 3."""
    return words_per_row(operand.element, LANES)


def _use(operand: Operand, op: Op) -> int:
    by_segments = operand.slot is Slot.THREE_GRADIENTS and "segments" in op.dimensions
    span = SPAN_BY_SEGMENTS if by_segments else operand.slot.value
    use = EXISTS | span << SPAN_SHIFT | _width(operand) << WIDTH_SHIFT
    use |= op.flag_bits[operand.flag] if operand.flag else 0
    for text, shift in zip((operand.rows, operand.columns), ADDEND_SHIFTS, strict=True):
        use |= factor(_split(text)[0] or "0", op.dimensions) << shift
    return use | (IN_MEMORY if operand.access is not Access.NONE else 0) | (HAS_SLOT if span else 0)


def by_position(rule: str, op: Op) -> str:
    """A rule with its dimensions and flags written as ``d[i]`` and ``f[i]``."""
    for prefix, names in (("d", op.dimensions), ("f", op.flags)):
        for i, name in enumerate(names):
            rule = re.sub(rf"\b{name}\b", f"{prefix}[{i}]", rule)
    return rule


def rules(ops: Sequence[Op]) -> list[str]:
    """All rules by position, each once."""
    return list(dict.fromkeys(by_position(rule, op) for op in ops for rule in op.rules))


def tables(config: HardwareConfig) -> dict[str, list[int]]:
    """The tables by name: a number for each opcode, or `MAX_OPERANDS` or `DIMENSION_STRIDE` of them.

    Opcodes that the configuration does not know have -1 dimensions.
    """
    known = rules(config.operations)
    by_opcode = {op.opcode: op for op in config.operations}
    rows = [_row(by_opcode.get(opcode), known, config.limits) for opcode in range(max(by_opcode) + 1)]
    return {name: [number for row in rows for number in row[name]] for name in rows[0]}


def _row(op: Op | None, known: Sequence[str], limits: Mapping[str, int]) -> dict[str, list[int]]:
    """An op's part of each table."""
    lows, highs = ([0] * DIMENSION_STRIDE for _ in range(2))
    if op is not None:
        for i, name in enumerate(op.dimensions):
            lows[i], highs[i] = op.limits[name][0], limits[op.limits[name][1]]
    return {
        "op_flags": [sum(op.flag_bits.values()) if op else 0],
        "op_rules": [sum(1 << known.index(by_position(rule, op)) for rule in op.rules) if op else 0],
        "op_dimensions": [len(op.dimensions) if op else -1],
        "op_immediates": [len(op.immediates) if op else 0],
        "dimension_low": lows,
        "dimension_high": highs,
        "operand_shape": shapes(op) if op else [0] * MAX_OPERANDS,
        "operand_use": uses(op) if op else [0] * MAX_OPERANDS,
    }
