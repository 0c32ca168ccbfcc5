"""How a run has to end, by the specification: `hls.spec.legality` over a whole program in a window."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from hls.spec.config import HardwareConfig
from hls.spec.formats import WORD_BYTES
from hls.spec.instruction import FIELDS, HEADER, INSTRUCTION_BYTES, INSTRUCTION_WORDS, OPCODE_FIELD, Instruction, decode
from hls.spec.legality import END_OPCODE, check, check_program, words_per_row
from hls.spec.ops import Access, evaluate
from hls.spec.status import Status


@dataclass(frozen=True)
class Verdict:
    """`certain` is false when the program overwrites itself before it ends: then it may end in any way."""

    status: Status
    failed_instruction: int = 0
    certain: bool = True


def verdict(memory: bytes, program: int, config: HardwareConfig) -> Verdict:
    """The end of a run of the program at word `program` in the window `memory`."""
    window_words = len(memory) // WORD_BYTES

    def read(word: int, words: int) -> bytes:
        return memory[word * WORD_BYTES : (word + words) * WORD_BYTES]

    status = check_program(read, program, config, window_words)
    if status is not Status.OK:
        return Verdict(status)
    header = dict(zip(HEADER, struct.unpack(f"<{FIELDS}I", read(program, INSTRUCTION_WORDS)), strict=False))
    occupied = range(program, program + (1 + header["instructions"]) * INSTRUCTION_WORDS)
    body = read(program + INSTRUCTION_WORDS, header["instructions"] * INSTRUCTION_WORDS)
    for index in range(header["instructions"]):
        data = body[index * INSTRUCTION_BYTES : (index + 1) * INSTRUCTION_BYTES]
        status, ends, written = _examined(data, config, window_words, header["slots"])
        if status is not Status.OK or ends:
            return Verdict(status, index)
        if any(place.start < occupied.stop and occupied.start < place.stop for place in written):
            return Verdict(Status.OK, certain=False)
    raise AssertionError("a program that passes check_program has an end")


@lru_cache(maxsize=4096)
def _examined(
    data: bytes, config: HardwareConfig, window_words: int, slots: int
) -> tuple[Status, bool, Sequence[range]]:
    """Status of one instruction, whether it is `end`, and the words that it writes."""
    fields = struct.unpack(f"<{FIELDS}I", data)
    status = check(fields, config, window_words, slots)
    if status is not Status.OK:
        return status, False, ()
    return status, fields[OPCODE_FIELD] & 0xFF == END_OPCODE, _written(decode(data))


def _written(instruction: Instruction) -> tuple[range, ...]:
    places = []
    for operand in instruction.op.operands:
        rows, columns = (evaluate(shape, instruction.dimensions) for shape in (operand.rows, operand.columns))
        if operand.access in (Access.WRITE, Access.UPDATE) and operand.name in instruction.operands and rows:
            place = instruction.operand(operand.name)
            words = (rows - 1) * place.pitch + words_per_row(operand.element, columns)
            places.append(range(place.address, place.address + words))
    return tuple(places)
