"""Layout of instructions and programs in memory: little-endian 32-bit fields.

An instruction is `INSTRUCTION_WORDS` DDR words (32 fields); a program is a header of the same size, then instructions,
the last of them `end`. Addresses count DDR words from the start of the window that the host registers.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from hls.spec.ops import BY_NAME, BY_OPCODE, Op, Slot

FIELDS = 32
INSTRUCTION_WORDS = 8
INSTRUCTION_BYTES = 4 * FIELDS

MAX_OPERANDS = 8
MAX_DIMENSIONS = 11
MAX_IMMEDIATES = 3
OPCODE_FIELD = 0
"""Bits 0-7: opcode; bits 8-31: flags."""
BESIDE_FIELD = 1
"""Of an op of the attention unit: instructions behind it that may run beside it, since they neither read nor write what
it writes, nor write what it reads. Zero for others."""
MAX_BESIDE = 255
"""Most of them."""
ADDRESS_FIELD = 2
LAYOUT_FIELD = ADDRESS_FIELD + MAX_OPERANDS
"""Bits 0-15: pitch in words; bits 16-31: slot."""
DIMENSION_FIELD = LAYOUT_FIELD + MAX_OPERANDS
IMMEDIATE_FIELD = DIMENSION_FIELD + MAX_DIMENSIONS

MAGIC = 0x56_4C_45_50
"""The bytes "PELV"."""
VERSION = 5
HEADER = ("magic", "version", "instructions", "hash_low", "hash_high", "sum_low", "sum_high", "slot_table", "slots")
"""Header fields in order; the rest is zero. `instructions` counts them with `end`; `slot_table` is a word address."""


@dataclass(frozen=True)
class Matrix:
    """Where an operand lies: word address, pitch in words, first slot."""

    address: int = 0
    pitch: int = 0
    slot: int = 0


ABSENT = Matrix()


@dataclass(frozen=True)
class Instruction:
    """One decoded instruction; `operands`, `dimensions` and `immediates` by the op table's names."""

    op: Op
    operands: dict[str, Matrix] = field(default_factory=dict)
    dimensions: dict[str, int] = field(default_factory=dict)
    immediates: dict[str, int] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    beside: int = 0
    """Instructions behind it that may run beside it."""

    def operand(self, name: str) -> Matrix:
        """The operand's place; `ABSENT` where its flag is not set."""
        return self.operands.get(name, ABSENT)


def make(
    op: str,
    *,
    flags: tuple[str, ...] = (),
    immediates: dict[str, int] | None = None,
    dimensions: dict[str, int],
    **operands: Matrix,
) -> Instruction:
    """An instruction by names; a name that the op table does not know, or one that is missing, raises `ValueError`."""
    row = BY_NAME[op]
    expected = {o.name for o in row.operands if o.flag is None or o.flag in flags}
    for what, given, wanted in (
        ("operands", set(operands), expected),
        ("dimensions", set(dimensions), set(row.dimensions)),
        ("immediates", set(immediates or {}), set(row.immediates)),
    ):
        if given != wanted:
            raise ValueError(f"{op}: {what} are {sorted(given)}, the op table wants {sorted(wanted)}")
    if not set(flags) <= set(row.flags):
        raise ValueError(f"{op}: unknown flags {sorted(set(flags) - set(row.flags))}")
    return Instruction(row, operands, dimensions, immediates or {}, frozenset(flags))


def encode(instruction: Instruction) -> bytes:
    """The 128 bytes of an instruction."""
    op, fields = instruction.op, [0] * FIELDS
    fields[OPCODE_FIELD] = op.opcode | sum(op.flag_bits[f] for f in instruction.flags) << 8
    fields[BESIDE_FIELD] = instruction.beside
    for i, operand in enumerate(op.operands):
        matrix = instruction.operand(operand.name)
        if not (0 <= matrix.address < 1 << 32 and 0 <= matrix.pitch < 1 << 16 and 0 <= matrix.slot < 1 << 16):
            raise ValueError(f"{op.name}: operand {operand.name} {matrix} does not fit its fields")
        fields[ADDRESS_FIELD + i] = matrix.address
        fields[LAYOUT_FIELD + i] = matrix.pitch | matrix.slot << 16
    for i, name in enumerate(op.dimensions):
        fields[DIMENSION_FIELD + i] = instruction.dimensions[name]
    for i, name in enumerate(op.immediates):
        fields[IMMEDIATE_FIELD + i] = instruction.immediates[name] & 0xFFFFFFFF
    return struct.pack(f"<{FIELDS}I", *fields)


def decode(data: bytes) -> Instruction:
    """The instruction of 128 bytes; `ValueError` for an unknown opcode. Immediates are signed 32-bit."""
    fields = struct.unpack(f"<{FIELDS}I", data)
    opcode, bits = fields[OPCODE_FIELD] & 0xFF, fields[OPCODE_FIELD] >> 8
    if opcode not in BY_OPCODE:
        raise ValueError(f"unknown opcode {opcode}")
    op = BY_OPCODE[opcode]
    flags = frozenset(name for name, bit in op.flag_bits.items() if bits & bit)
    operands = {
        o.name: Matrix(fields[ADDRESS_FIELD + i], fields[LAYOUT_FIELD + i] & 0xFFFF, fields[LAYOUT_FIELD + i] >> 16)
        for i, o in enumerate(op.operands)
        if o.flag is None or o.flag in flags
    }
    dimensions = {name: fields[DIMENSION_FIELD + i] for i, name in enumerate(op.dimensions)}
    immediates = {
        name: struct.unpack("<i", struct.pack("<I", fields[IMMEDIATE_FIELD + i]))[0]
        for i, name in enumerate(op.immediates)
    }
    return Instruction(op, operands, dimensions, immediates, flags, fields[BESIDE_FIELD])


def checksum(body: bytes) -> int:
    """64-bit sum over all fields: ``s1 += field; s2 += s1``, each modulo 2**32, then ``s2 << 32 | s1``."""
    s1 = s2 = 0
    for (value,) in struct.iter_unpack("<I", body):
        s1 = (s1 + value) & 0xFFFFFFFF
        s2 = (s2 + s1) & 0xFFFFFFFF
    return s2 << 32 | s1


def assemble(instructions: list[Instruction], config_hash: int, slot_table: int, slots: int) -> bytes:
    """A program: header and instructions; `end` is appended."""
    body = b"".join(encode(i) for i in instructions) + encode(Instruction(BY_NAME["end"]))
    total = checksum(body)
    header = (
        MAGIC, VERSION, len(instructions) + 1, config_hash & 0xFFFFFFFF, config_hash >> 32,
        total & 0xFFFFFFFF, total >> 32, slot_table, slots,
    )  # fmt: skip
    return struct.pack(f"<{FIELDS}I", *header, *[0] * (FIELDS - len(header))) + body


def disassemble(program: bytes) -> list[Instruction]:
    """The instructions of a program, `end` left out; `ValueError` when the checksum or the header is wrong."""
    fields = dict(zip(HEADER, struct.unpack_from(f"<{FIELDS}I", program), strict=False))
    body = program[INSTRUCTION_BYTES : INSTRUCTION_BYTES * (1 + fields["instructions"])]
    if fields["magic"] != MAGIC or fields["version"] != VERSION:
        raise ValueError("not a PeelViT program of this version")
    if checksum(body) != fields["sum_high"] << 32 | fields["sum_low"]:
        raise ValueError("the program's checksum does not match its instructions")
    return [decode(body[i : i + INSTRUCTION_BYTES]) for i in range(0, len(body) - INSTRUCTION_BYTES, INSTRUCTION_BYTES)]


def slot_span(slot: Slot, instruction: Instruction) -> int:
    """Slots that an operand uses; only a gemm_nn of three segments reads three gradients."""
    if slot is Slot.THREE_GRADIENTS and instruction.dimensions.get("segments", 3) == 1:
        return Slot.GRADIENT.value
    return slot.value
