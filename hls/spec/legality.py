"""Which programs and instructions the accelerator runs: the checks that it makes, in the order in which it makes them.

The kernel's C++ is rendered from the same table rows; the golden model calls these functions; the host compiler uses
them to refuse a program before it is written. An instruction is given as its 32 raw fields, since a damaged one may not
decode.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence

from hls.spec.config import HardwareConfig
from hls.spec.formats import LANES, stored_as
from hls.spec.instruction import (
    ADDRESS_FIELD,
    BESIDE_FIELD,
    DIMENSION_FIELD,
    FIELDS,
    HEADER,
    IMMEDIATE_FIELD,
    INSTRUCTION_WORDS,
    LAYOUT_FIELD,
    MAGIC,
    MAX_BESIDE,
    MAX_DIMENSIONS,
    MAX_IMMEDIATES,
    MAX_OPERANDS,
    OPCODE_FIELD,
    VERSION,
    Instruction,
    checksum,
    slot_span,
)
from hls.spec.ops import BY_OPCODE, Access, Op, Operand, Slot, evaluate
from hls.spec.slots import RECORD_WORDS
from hls.spec.status import Status

END_OPCODE = 0


def words_per_row(element: str, columns: int) -> int:
    """DDR words that one row of `columns` elements takes, padding to eight elements included."""
    stored, count = stored_as(element, columns)
    return -(-count // LANES) * (2 if stored == "i32" else 1)


def check(fields: Sequence[int], config: HardwareConfig, window_words: int, slot_count: int) -> Status:
    """Whether an instruction (its 32 unsigned fields) may run; the first reason why not.

    The order is UNKNOWN_OPCODE, BAD_FIELD, BAD_SHAPE (limits in the table's order, then rules), OUTSIDE_WINDOW (operand
    by operand), BAD_SLOT.
    """
    op = BY_OPCODE.get(fields[OPCODE_FIELD] & 0xFF)
    if op is None or op.name in config.without:
        return Status.UNKNOWN_OPCODE
    if not _fields_are_clean(op, fields):
        return Status.BAD_FIELD
    names = _names(op, fields)
    if not _shape_is_legal(op, names, config):
        return Status.BAD_SHAPE
    present = [(i, operand) for i, operand in enumerate(op.operands) if _is_present(operand, names)]
    if not all(_lies_inside(operand, i, fields, names, window_words) for i, operand in present):
        return Status.OUTSIDE_WINDOW
    decoded = Instruction(op, dimensions=names)
    ends = [(fields[LAYOUT_FIELD + i] >> 16) + slot_span(operand.slot, decoded) for i, operand in present]
    if max([evaluate(op.slot_end, names), *ends]) > slot_count:
        return Status.BAD_SLOT
    return Status.OK


def _names(op: Op, fields: Sequence[int]) -> dict[str, int]:
    """What the table's expressions may name: dimensions, and flags as 0 or 1."""
    bits = fields[OPCODE_FIELD] >> 8
    flags = {name: int(bool(bits & bit)) for name, bit in op.flag_bits.items()}
    return {name: fields[DIMENSION_FIELD + i] for i, name in enumerate(op.dimensions)} | flags


def _is_present(operand: Operand, names: Mapping[str, int]) -> bool:
    return operand.flag is None or bool(names[operand.flag])


def _fields_are_clean(op: Op, fields: Sequence[int]) -> bool:
    """Nothing is set that the op does not have: flags, instructions beside it, operands, dimensions, immediates."""
    bits = fields[OPCODE_FIELD] >> 8
    if bits & ~sum(op.flag_bits.values()) or fields[BESIDE_FIELD] > most_beside(op):
        return False
    for i in range(MAX_OPERANDS):
        operand = op.operands[i] if i < len(op.operands) else None
        address, layout = fields[ADDRESS_FIELD + i], fields[LAYOUT_FIELD + i]
        absent = operand is None or (operand.flag is not None and not bits & op.flag_bits[operand.flag])
        if absent and (address or layout):
            return False
        if operand is not None and operand.access is Access.NONE and (address or layout & 0xFFFF):
            return False
        if operand is not None and operand.slot is Slot.NONE and layout >> 16:
            return False
    unused_dimensions = fields[DIMENSION_FIELD + len(op.dimensions) : DIMENSION_FIELD + MAX_DIMENSIONS]
    unused_immediates = fields[IMMEDIATE_FIELD + len(op.immediates) : IMMEDIATE_FIELD + MAX_IMMEDIATES]
    return not any(unused_dimensions) and not any(unused_immediates)


def _shape_is_legal(op: Op, names: Mapping[str, int], config: HardwareConfig) -> bool:
    within = all(low <= names[name] <= config.limits[high] for name, (low, high) in op.limits.items())
    return within and all(evaluate(rule, names) for rule in op.rules)


def _lies_inside(
    operand: Operand, index: int, fields: Sequence[int], names: Mapping[str, int], window_words: int
) -> bool:
    """Every word of the operand is inside the window, and its rows do not overlap."""
    rows = evaluate(operand.rows, names)
    if operand.access is Access.NONE or rows == 0:
        return True
    words = words_per_row(operand.element, evaluate(operand.columns, names))
    pitch = fields[LAYOUT_FIELD + index] & 0xFFFF
    if rows > 1 and pitch < words:
        return False
    return fields[ADDRESS_FIELD + index] + (rows - 1) * pitch + words <= window_words


def most_beside(op: Op) -> int:
    """Instructions that may run beside the op at most."""
    return MAX_BESIDE if op.unit == "attention" else 0


def check_program(read: Callable[[int, int], bytes], address: int, config: HardwareConfig, window_words: int) -> Status:
    """Whether the program at word `address` may start; instructions are checked one by one when they are reached.

    `read(word, words)` gives the bytes of the window from `word`; it is called only for words inside. The order is that
    of the returns below.
    """
    if address + INSTRUCTION_WORDS > window_words:
        return Status.PROGRAM_OUTSIDE_WINDOW
    header = dict(zip(HEADER, struct.unpack(f"<{FIELDS}I", read(address, INSTRUCTION_WORDS)), strict=False))
    if header["magic"] != MAGIC:
        return Status.BAD_MAGIC
    if header["version"] != VERSION:
        return Status.BAD_VERSION
    if header["hash_high"] << 32 | header["hash_low"] != config.hash:
        return Status.CONFIGURATION_MISMATCH
    count = header["instructions"]
    if count == 0:
        return Status.MISSING_END
    if address + (1 + count) * INSTRUCTION_WORDS > window_words:
        return Status.PROGRAM_OUTSIDE_WINDOW
    body = read(address + INSTRUCTION_WORDS, count * INSTRUCTION_WORDS)
    if body[-4 * FIELDS + 4 * OPCODE_FIELD] != END_OPCODE:
        return Status.MISSING_END
    if checksum(body) != header["sum_high"] << 32 | header["sum_low"]:
        return Status.BAD_CHECKSUM
    slots = header["slots"]
    if slots > config.max_slots or header["slot_table"] + slots * RECORD_WORDS > window_words:
        return Status.BAD_SLOT_TABLE
    return Status.OK
