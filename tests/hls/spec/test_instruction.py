"""Instructions and programs survive encoding; damage is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hls.spec.instruction import (
    INSTRUCTION_BYTES,
    Instruction,
    Matrix,
    assemble,
    checksum,
    decode,
    disassemble,
    encode,
    make,
)
from hls.spec.ops import OPS

u32, u16 = st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1)


@st.composite
def instructions(draw: st.DrawFn) -> Instruction:
    op = draw(st.sampled_from([op for op in OPS if op.name != "end"]))
    flags = frozenset(draw(st.sets(st.sampled_from(op.flags))) if op.flags else ())
    operands = {
        o.name: Matrix(draw(u32), draw(u16), draw(u16)) for o in op.operands if o.flag is None or o.flag in flags
    }
    dimensions = {name: draw(u32) for name in op.dimensions}
    immediates = {name: draw(st.integers(-(2**31), 2**31 - 1)) for name in op.immediates}
    return Instruction(op, operands, dimensions, immediates, flags)


@given(instructions())
def test_decoding_gives_back_what_was_encoded(instruction: Instruction) -> None:
    data = encode(instruction)
    assert len(data) == INSTRUCTION_BYTES
    assert decode(data) == instruction


@given(st.lists(instructions(), max_size=4), st.integers(0, 2**64 - 1), u32, st.integers(0, 1000))
def test_disassembling_gives_back_what_was_assembled(
    body: list[Instruction], config: int, table: int, slots: int
) -> None:
    assert disassemble(assemble(body, config, table, slots)) == body


@given(st.lists(instructions(), min_size=1, max_size=3), st.data())
def test_a_flipped_bit_is_noticed(body: list[Instruction], data: st.DataObject) -> None:
    program = bytearray(assemble(body, 1, 2, 3))
    bit = data.draw(st.integers(8 * INSTRUCTION_BYTES, 8 * len(program) - 1))
    program[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValueError, match="checksum"):
        disassemble(bytes(program))


def test_swapped_fields_change_the_checksum() -> None:
    assert checksum(bytes([1, 0, 0, 0, 2, 0, 0, 0])) != checksum(bytes([2, 0, 0, 0, 1, 0, 0, 0]))


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"dimensions": {"rows": 1}}, "dimensions are"),
        ({"x": None}, "operands are"),
        ({"flags": ("COLD",)}, "unknown flags"),
    ],
)
def test_names_that_the_table_does_not_know_are_refused(change: dict[str, object], sentence: str) -> None:
    given_names: dict[str, object] = {"dimensions": {"rows": 1, "n": 8}, "x": Matrix(), "y": Matrix()} | change
    with pytest.raises(ValueError, match=sentence):
        make("gelu", **{k: v for k, v in given_names.items() if v is not None})  # type: ignore[arg-type]


def test_an_operand_that_does_not_fit_its_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit its fields"):
        encode(make("gelu", dimensions={"rows": 1, "n": 8}, x=Matrix(pitch=1 << 16), y=Matrix()))
