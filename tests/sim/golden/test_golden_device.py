"""The golden device: programs, refusals with their status and index, memory."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hls.spec.config import load
from hls.spec.instruction import (
    ADDRESS_FIELD,
    DIMENSION_FIELD,
    FIELDS,
    HEADER,
    IMMEDIATE_FIELD,
    INSTRUCTION_BYTES,
    INSTRUCTION_WORDS,
    LAYOUT_FIELD,
    VERSION,
    Instruction,
    Matrix,
    assemble,
    checksum,
    decode,
    make,
)
from hls.spec.legality import check, words_per_row
from hls.spec.ops import OPS, Access
from hls.spec.slots import EMPTY, RECORD_WORDS
from hls.spec.status import Status
from sim.golden.device import GoldenDevice
from sim.golden.memory import Memory
from sim.golden.slots import Slot, pack, unpack
from tests.sim.op_cases import OP_NAMES, Case, operand_shape, random_case

TOY = load("toy")
WINDOW, SLOT_TABLE, SLOTS, PROGRAM = 400, 100, 6, 200
GELU = make("gelu", dimensions={"rows": 2, "n": 9}, x=Matrix(0, 2, 0), y=Matrix(10, 3, 1))


def fields_of(program: bytes, index: int = 0) -> list[int]:
    """Raw fields of an instruction of a program; -1 is the header."""
    return list(struct.unpack_from(f"<{FIELDS}I", program, (1 + index) * INSTRUCTION_BYTES))


def with_field(program: bytes, field: int, value: int, index: int = 0) -> bytes:
    """The program with one raw field changed and a checksum that fits again."""
    words = list(struct.unpack(f"<{len(program) // 4}I", program))
    words[(1 + index) * FIELDS + field] = value & 0xFFFFFFFF
    total = checksum(struct.pack(f"<{len(words) - FIELDS}I", *words[FIELDS:]))
    words[HEADER.index("sum_low")], words[HEADER.index("sum_high")] = total & 0xFFFFFFFF, total >> 32
    return struct.pack(f"<{len(words)}I", *words)


def with_header(program: bytes, **changes: int) -> bytes:
    words = list(struct.unpack(f"<{len(program) // 4}I", program))
    for name, value in changes.items():
        words[HEADER.index(name)] = value
    return struct.pack(f"<{len(words)}I", *words)


def run(program: bytes, at: int = PROGRAM, window: int = WINDOW) -> tuple[Status, int]:
    device = GoldenDevice(TOY)
    device.allocate(window)
    device.write(PROGRAM, np.frombuffer(program, np.uint8))
    result = device.run(at)
    return result.status, result.failed_instruction


PLAIN = assemble([GELU, GELU], TOY.hash, SLOT_TABLE, SLOTS)


def test_a_good_program_runs_to_its_end() -> None:
    assert run(PLAIN) == (Status.OK, 2)


@pytest.mark.parametrize(
    "program, status",
    [
        (with_header(PLAIN, magic=0), Status.BAD_MAGIC),
        (with_header(PLAIN, magic=0, version=9, instructions=1 << 31), Status.BAD_MAGIC),
        (with_header(PLAIN, version=VERSION + 1, hash_low=1), Status.BAD_VERSION),
        (with_header(PLAIN, hash_low=1, instructions=0), Status.CONFIGURATION_MISMATCH),
        (with_header(PLAIN, hash_high=1), Status.CONFIGURATION_MISMATCH),
        (with_header(PLAIN, instructions=0), Status.MISSING_END),
        (with_header(PLAIN, instructions=1 << 31), Status.PROGRAM_OUTSIDE_WINDOW),
        (with_header(PLAIN, instructions=2, sum_low=1), Status.MISSING_END),
        (with_header(PLAIN, sum_low=1, slots=1 << 20), Status.BAD_CHECKSUM),
        (with_header(PLAIN, sum_high=1), Status.BAD_CHECKSUM),
        (with_header(PLAIN, slots=TOY.max_slots + 1), Status.BAD_SLOT_TABLE),
        (with_header(PLAIN, slot_table=WINDOW - 2 * SLOTS + 1), Status.BAD_SLOT_TABLE),
        (with_header(PLAIN, slot_table=0xFFFFFFFF), Status.BAD_SLOT_TABLE),
    ],
)
def test_a_bad_program_is_refused(program: bytes, status: Status) -> None:
    assert run(program) == (status, 0)


@pytest.mark.parametrize("at", [WINDOW - INSTRUCTION_WORDS + 1, WINDOW, 0xFFFFFFFF])
def test_a_program_outside_the_window_is_refused(at: int) -> None:
    assert run(PLAIN, at) == (Status.PROGRAM_OUTSIDE_WINDOW, 0)


@pytest.mark.parametrize(
    "field, value, status",
    [
        (0, 99, Status.UNKNOWN_OPCODE),
        (0, 10 | 1 << 8, Status.BAD_FIELD),
        (1, 1, Status.BAD_FIELD),
        (ADDRESS_FIELD + 2, 1, Status.BAD_FIELD),
        (LAYOUT_FIELD + 7, 1 << 16, Status.BAD_FIELD),
        (DIMENSION_FIELD + 2, 1, Status.BAD_FIELD),
        (IMMEDIATE_FIELD, 1, Status.BAD_FIELD),
        (DIMENSION_FIELD, 0, Status.BAD_SHAPE),
        (DIMENSION_FIELD, TOY.max_rows + 1, Status.BAD_SHAPE),
        (DIMENSION_FIELD + 1, TOY.max_columns + 1, Status.BAD_SHAPE),
        (DIMENSION_FIELD, TOY.max_rows, Status.OUTSIDE_WINDOW),
        (ADDRESS_FIELD, WINDOW - 3, Status.OUTSIDE_WINDOW),
        (ADDRESS_FIELD + 1, 0xFFFFFFFF, Status.OUTSIDE_WINDOW),
        (LAYOUT_FIELD, 1, Status.OUTSIDE_WINDOW),
        (LAYOUT_FIELD, 2 | SLOTS << 16, Status.BAD_SLOT),
    ],
)
def test_a_bad_instruction_is_refused_when_it_is_reached(field: int, value: int, status: Status) -> None:
    assert run(with_field(PLAIN, field, value, index=1)) == (status, 1)


@pytest.mark.parametrize("beside, status", [(0, Status.OK), (255, Status.OK), (256, Status.BAD_FIELD)])
def test_instructions_beside_attention_are_counted_in_a_byte(beside: int, status: Status) -> None:
    assert _attention(("SCORES", "VALUES"), 0, 0, beside) is status


def test_the_first_reason_is_told() -> None:
    bad = with_field(with_field(PLAIN, ADDRESS_FIELD, WINDOW), LAYOUT_FIELD, 2 | SLOTS << 16)
    assert run(bad)[0] is Status.OUTSIDE_WINDOW
    assert run(with_field(bad, DIMENSION_FIELD, 0))[0] is Status.BAD_SHAPE
    assert run(with_field(with_field(bad, DIMENSION_FIELD, 0), 1, 1))[0] is Status.BAD_FIELD


def test_an_operand_may_end_where_the_window_ends() -> None:
    last = replace(GELU, operands=GELU.operands | {"y": Matrix(WINDOW - 5, 3, 1)})
    assert run(assemble([last], TOY.hash, SLOT_TABLE, SLOTS))[0] is Status.OK


def test_an_early_end_ends_the_run() -> None:
    early = PLAIN
    for field, value in enumerate([0] * FIELDS):
        early = with_field(early, field, value, index=1)
    assert run(early) == (Status.OK, 1)


def test_what_ran_before_a_refusal_stays() -> None:
    device = GoldenDevice(TOY)
    device.allocate(WINDOW)
    device.write(0, np.full(32, 1000, np.int16))
    device.write(SLOT_TABLE, np.frombuffer(pack([Slot(10, 10)] * SLOTS), np.uint8))
    device.write(PROGRAM, np.frombuffer(with_field(PLAIN, 1, 1, index=1), np.uint8))
    assert device.run(PROGRAM).status is Status.BAD_FIELD
    assert device.read(10, (1,), np.int16)[0] > 0
    slots = unpack(device.read(SLOT_TABLE, (SLOTS * 32,), np.uint8).tobytes())
    assert [slot.peak != EMPTY for slot in slots] == [False, True, False, False, False, False]


def _attention(flags: tuple[str, ...], key_count: int, map_rows: int, beside: int = 0) -> Status:
    operands = {"qkv": Matrix(0, 3, 0), "probability": Matrix(30, 1, 1)}
    if "VALUES" in flags:
        operands["y"] = Matrix(20, 1, 2)
    if "SPARSE" in flags:
        operands["keys"] = Matrix(40, 1, 0)
    if "MAP" in flags:
        operands["map"] = Matrix(50, 2, 0)
    dimensions = {"batch": 1, "patches": 3, "heads": 1, "head_dim": 8, "queries": 4}
    dimensions |= {"first": 0, "count": 4, "key_count": key_count, "map_rows": map_rows, "gap": 0, "skipped": 0}
    instruction = make("attention", flags=flags, dimensions=dimensions, immediates={"scale": 1}, **operands)
    instruction = replace(instruction, beside=beside)
    return check(fields_of(assemble([instruction], 0, 0, 0)), TOY, WINDOW, SLOTS)


@pytest.mark.parametrize(
    "flags, key_count, map_rows, status",
    [
        (("SCORES", "VALUES"), 0, 0, Status.OK),
        (("SPARSE", "MAP", "SCORES"), 1, 4, Status.OK),
        (("SPARSE", "VALUES"), 1, 0, Status.OK),
        (("SPARSE", "SCORES"), 0, 0, Status.BAD_SHAPE),
        (("SCORES",), 1, 0, Status.BAD_SHAPE),
        (("MAP", "SCORES"), 0, 0, Status.BAD_SHAPE),
        (("SCORES",), 0, 1, Status.BAD_SHAPE),
        (("MAP", "VALUES"), 0, 1, Status.BAD_SHAPE),
        ((), 0, 0, Status.BAD_SHAPE),
    ],
)
def test_counts_of_attention_go_with_their_flags(
    flags: tuple[str, ...], key_count: int, map_rows: int, status: Status
) -> None:
    assert _attention(flags, key_count, map_rows) is status


@pytest.mark.parametrize("first, count, status", [(0, SLOTS, Status.OK), (1, SLOTS, Status.BAD_SLOT)])
def test_exponent_update_stays_inside_the_slot_table(first: int, count: int, status: Status) -> None:
    update = make("exponent_update", dimensions={"first": first, "count": count, "bits": 15, "margin": 1})
    assert check(fields_of(assemble([update], 0, 0, 0)), TOY, WINDOW, SLOTS) is status


def written_words(case: Case, instruction: Instruction) -> set[int]:
    """Words that a program of this instruction may change: its results and the slot table."""
    words = set(range(case.slot_table, case.slot_table + RECORD_WORDS * case.slots))
    for operand in instruction.op.operands:
        absent = operand.flag is not None and operand.flag not in instruction.flags
        if absent or operand.access in (Access.READ, Access.NONE):
            continue
        place = instruction.operand(operand.name)
        rows, columns = operand_shape(operand, instruction.dimensions)
        for row in range(rows):
            start = place.address + row * place.pitch
            words.update(range(start, start + words_per_row(operand.element, columns)))
    return words


bit_flips = st.integers(0, 31).map(lambda bit: lambda value: value ^ 1 << bit)
steps = st.integers(-3, 3).map(lambda step: lambda value: value + step)


@given(
    op_name=st.sampled_from(OP_NAMES),
    seed=st.integers(0, 20),
    field=st.integers(0, FIELDS - 1),
    change=st.one_of(bit_flips, steps),
)
def test_a_damaged_instruction_is_refused_or_stays_inside_what_it_may_write(
    op_name: str, seed: int, field: int, change: Callable[[int], int]
) -> None:
    case = random_case(op_name, seed, TOY)
    window = case.memory.copy()
    program = window[16 * case.program :][: 3 * INSTRUCTION_BYTES].tobytes()
    damaged = with_field(program, field, change(fields_of(program)[field]))
    window[16 * case.program :][: len(damaged)] = np.frombuffer(damaged, np.uint8)
    device = GoldenDevice(TOY)
    device.allocate(case.window_words)
    device.write(0, window)
    result = device.run(case.program)
    changed = set((np.flatnonzero(device.read(0, window.shape, np.uint8) != window) // 16).tolist())
    if result.status is Status.OK:
        assert changed <= written_words(case, decode(damaged[INSTRUCTION_BYTES : 2 * INSTRUCTION_BYTES]))
    else:
        # The slot table is written back, clamped to what the device holds.
        assert result.failed_instruction == 0
        assert changed <= set(range(case.slot_table, case.slot_table + RECORD_WORDS * case.slots))


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_unused_fields_are_zero(op) -> None:
    """An instruction of nothing but its opcode is refused for its shape, or runs when it has none."""
    fields = [op.opcode] + [0] * (FIELDS - 1)
    assert check(fields, TOY, WINDOW, SLOTS) is (Status.OK if op.name == "end" else Status.BAD_SHAPE)


def test_slot_records_are_clamped_when_loaded() -> None:
    history = tuple(range(-8, 8))
    (slot,) = unpack(struct.pack("<iiiI16b", 999, -999, 1 << 30, 0xFFFFFFFF, *history))
    assert slot == Slot(64, -32, 127, 0xFFFFFFFF, history)
    assert unpack(pack([slot])) == [slot]


@pytest.mark.parametrize("element, dtype", [("i16", np.int16), ("u16", np.uint16), ("i32", np.int32)])
def test_matrices_are_views_of_the_window(element: str, dtype: type) -> None:
    memory = Memory(40)
    view = memory.matrix(Matrix(3, 5), element, 2, 9)
    memory.elements[:] = -1
    memory.write(Matrix(3, 5), element, view * 0 + 7 if element != "u16" else view.int() * 0 + 7)
    assert (view == 7).all()
    raw = memory.elements.numpy().view(np.uint8).view(dtype)
    lanes = 16 // np.dtype(dtype).itemsize
    for row in (3 * lanes, 8 * lanes):
        assert raw[row : row + 17].tolist()[:16] == [7] * 9 + [0] * 7
    assert (raw == 7).sum() == 18
    assert (raw == 0).sum() == 14


def test_reads_and_writes_round_trip_and_stay_inside() -> None:
    device = GoldenDevice(TOY)
    device.allocate(4)
    device.write(0, np.full(64, 255, np.uint8))
    device.write(1, np.arange(5, dtype=np.int16))
    assert device.read(0, (32,), np.int16).tolist() == [-1] * 8 + [0, 1, 2, 3, 4, 0, 0, 0] + [-1] * 16
    assert device.read(1, (2, 2), np.int16).tolist() == [[0, 1], [2, 3]]
    for address, size in ((4, 1), (3, 17), (-1, 1)):
        with pytest.raises(ValueError):
            device.write(address, np.zeros(size, np.uint8))
        with pytest.raises(ValueError):
            device.read(address, (size,), np.uint8)
    assert device.counters().instruction_cycles.size == 0
    device.close()
