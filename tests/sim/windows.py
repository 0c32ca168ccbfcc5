"""Two windows after the same program: equal, or the first place where they differ, in words."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hls.spec.formats import ELEMENT_BYTES, WORD_BYTES, stored_as
from hls.spec.legality import words_per_row
from hls.spec.ops import Access, evaluate
from hls.spec.slots import RECORD_WORDS
from tests.sim.op_cases import Case

Window = npt.NDArray[np.uint8]


def first_difference(case: Case, one: Window, other: Window) -> str | None:
    """None when equal; else operand, row and column (or slot and field) of the first difference, with both values."""
    different = np.flatnonzero(one != other)
    if not different.size:
        return None
    byte = int(different[0])
    word = byte // WORD_BYTES
    instruction = case.instructions[0]
    what = f"{instruction.op.name} {instruction.dimensions} {sorted(instruction.flags)}"
    return f"{what}: {_operand_at(case, word, byte, one, other)}"


def _operand_at(case: Case, word: int, byte: int, one: Window, other: Window) -> str:
    instruction = case.instructions[0]
    for operand in instruction.op.operands:
        place = instruction.operand(operand.name)
        if operand.access is Access.NONE or (operand.flag is not None and operand.flag not in instruction.flags):
            continue
        rows, columns = (evaluate(shape, instruction.dimensions) for shape in (operand.rows, operand.columns))
        words = words_per_row(operand.element, columns)
        row, offset = divmod(word - place.address, place.pitch)
        if 0 <= row < rows and offset < words:
            element, columns = stored_as(operand.element, columns)
            size = ELEMENT_BYTES[element]
            column = (offset * WORD_BYTES + byte % WORD_BYTES) // size
            values = _values(one, other, byte // size * size, {"i16": "<i2", "u16": "<u2", "i32": "<i4"}[element])
            return f"{operand.name}[{row}][{column}] of {rows} x {columns}: {values}"
    slot, rest = divmod(byte - case.slot_table * WORD_BYTES, RECORD_WORDS * WORD_BYTES)
    if 0 <= slot < case.slots:
        owner = _slot_owner(case, slot)
        if rest >= WORD_BYTES:
            return f"slot {slot} ({owner}) history[{rest - WORD_BYTES}]: {_values(one, other, byte, 'i1')}"
        name = ("f", "f_previous", "peak", "saturations")[rest // 4]
        return f"slot {slot} ({owner}) {name}: {_values(one, other, byte // 4 * 4, '<i4')}"
    return f"word {word}, which no operand covers"


def _slot_owner(case: Case, slot: int) -> str:
    instruction = case.instructions[0]
    owners = [o.name for o in instruction.op.operands if o.slot.value and instruction.operand(o.name).slot <= slot]
    return max(owners, key=lambda name: instruction.operand(name).slot, default="none")


def _values(one: Window, other: Window, byte: int, dtype: str) -> str:
    size = np.dtype(dtype).itemsize
    a, b = (int(window[byte : byte + size].view(dtype)[0]) for window in (one, other))
    return f"{a} against {b}"
