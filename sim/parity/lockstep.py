"""Two devices driven as one: every instruction runs on both, and everything that it wrote is compared."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hls.spec.formats import ELEMENT_BYTES, LANES, WORD_BYTES, stored_as
from hls.spec.instruction import (
    FIELDS,
    HEADER,
    INSTRUCTION_BYTES,
    INSTRUCTION_WORDS,
    Instruction,
    Matrix,
    assemble,
    disassemble,
)
from hls.spec.legality import words_per_row
from hls.spec.ops import Operand, evaluate
from hls.spec.slots import RECORD_WORDS
from hls.spec.status import Status
from host.device import Counters, Device, RunResult
from host.slots import RECORD

_TYPES: dict[str, type[np.integer[Any]]] = {"i16": np.int16, "u16": np.uint16, "i32": np.int32}
_SCRATCH_WORDS = 3 * INSTRUCTION_WORDS
"""Room behind the window for a program of one instruction."""


class DifferenceError(Exception):
    """The first place where the two devices differ; the sentence names it and both values."""


@dataclass
class Compared:
    """What has been compared."""

    programs: int = 0
    instructions: int = 0
    tensors: int = 0
    bytes: int = 0


@dataclass
class LockstepDevice:
    """A `host.device.Device` that is two: `reference` says what is right, `subject` has to agree.

    A program runs instruction by instruction on both, each instruction as a program of its own, and after each one
    every tensor that it writes and the slot table are compared. Then the whole windows are compared, and once more
    after the subject has run the program in one start. `DifferenceError` is raised at the first difference.

    Attributes:
        labels: for a program's bytes the names of its instructions, for the sentence.
        slot_names: the tensor of each slot, for the sentence.
        on_program, on_instruction: called with the number of instructions before a program, and after each of them.
    """

    reference: Device
    subject: Device
    labels: dict[bytes, Sequence[str]] = field(default_factory=dict)
    slot_names: dict[int, str] = field(default_factory=dict)
    on_program: Callable[[int], None] = lambda instructions: None
    on_instruction: Callable[[], None] = lambda: None
    compared: Compared = field(default_factory=Compared)
    _words: int = 0

    def __post_init__(self) -> None:
        self.config = self.reference.config

    def allocate(self, words: int) -> None:
        """See `host.device.Device`."""
        self._words = words
        for device in (self.reference, self.subject):
            device.allocate(words + _SCRATCH_WORDS)

    def write(self, address: int, data: npt.NDArray[np.generic]) -> None:
        """See `host.device.Device`."""
        for device in (self.reference, self.subject):
            device.write(address, data)

    def read(self, address: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
        """See `host.device.Device`."""
        return self.reference.read(address, shape, dtype)

    def counters(self) -> Counters:
        """Those of the subject's last start of a whole program."""
        return self.subject.counters()

    def close(self) -> None:
        """See `host.device.Device`."""
        self.reference.close()
        self.subject.close()

    def run(self, program: int) -> RunResult:
        """See `host.device.Device`; the result is that of the subject."""
        before = self._window(self.subject)
        status = self._run_instructions(program)
        self._compare_windows("after its instructions one by one")
        self.subject.write(0, before)
        result = self.subject.run(program)
        if result.status is not status:
            raise DifferenceError(
                f"the program in one start ended with {result.status.name}, one by one with {status.name}"
            )
        self._compare_windows("after the program in one start")
        self.compared.programs += 1
        return result

    def _run_instructions(self, program: int) -> Status:
        header, data = self._program(program)
        instructions = disassemble(data)
        names = self.labels.get(data, [i.op.name for i in instructions])
        self.on_program(len(instructions))
        for index, (instruction, name) in enumerate(zip(instructions, names, strict=True)):
            where = f"instruction {index} ({name})"
            status = self._run_one(instruction, header["slot_table"], header["slots"], where)
            if status is not Status.OK:
                return status
            for operand in written_operands(instruction):
                self._compare_operand(instruction, operand, where)
            self._compare_slots(header["slot_table"], header["slots"], where)
            self.compared.instructions += 1
            self.on_instruction()
        return Status.OK

    def _program(self, address: int) -> tuple[dict[str, int], bytes]:
        """Header fields and bytes of the program at `address`."""
        raw = self.reference.read(address, (FIELDS,), np.uint32)
        header = dict(zip(HEADER, struct.unpack(f"<{FIELDS}I", raw.tobytes()), strict=False))
        size = INSTRUCTION_BYTES * (1 + header["instructions"])
        return header, self.reference.read(address, (size,), np.uint8).tobytes()

    def _run_one(self, instruction: Instruction, slot_table: int, slots: int, where: str) -> Status:
        data = assemble([instruction], self.config.hash, slot_table, slots)
        self.write(self._words, np.frombuffer(data, np.uint8))
        expected, actual = self.reference.run(self._words).status, self.subject.run(self._words).status
        if expected is not actual:
            raise DifferenceError(f"{where}: golden ends with {expected.name}, the C simulation with {actual.name}")
        return expected

    def _compare_operand(self, instruction: Instruction, operand: Operand, where: str) -> None:
        rows, columns = (evaluate(shape, instruction.dimensions) for shape in (operand.rows, operand.columns))
        place = instruction.operand(operand.name)
        expected, actual = (
            _read_matrix(device, place, operand.element, rows, columns) for device in (self.reference, self.subject)
        )
        self.compared.tensors += 1
        self.compared.bytes += expected.size * expected.itemsize
        different = np.argwhere(expected != actual)
        if len(different):
            row, column = (int(i) for i in different[0])
            raise DifferenceError(
                f"{where}: {instruction.op.name} differs in operand {operand.name} at row {row}, column {column}: "
                f"golden {expected[row, column]}, the C simulation {actual[row, column]} "
                f"({len(different)} of {expected.size} elements differ)"
            )

    def _compare_slots(self, slot_table: int, slots: int, where: str) -> None:
        shape = (slots * RECORD_WORDS * WORD_BYTES,)
        expected, actual = (d.read(slot_table, shape, np.uint8).view(RECORD) for d in (self.reference, self.subject))
        self.compared.bytes += expected.nbytes
        different = np.flatnonzero(expected != actual)
        if len(different):
            slot = int(different[0])
            name = next(n for n in RECORD.names or () if not np.array_equal(expected[n][slot], actual[n][slot]))
            raise DifferenceError(
                f"{where}: slot {slot} ({self.slot_names.get(slot, 'no tensor')}) differs in {name}: "
                f"golden {expected[name][slot]}, the C simulation {actual[name][slot]}"
            )

    def _window(self, device: Device) -> npt.NDArray[np.uint8]:
        return device.read(0, (self._words * WORD_BYTES,), np.uint8).view(np.uint8)

    def _compare_windows(self, when: str) -> None:
        expected, actual = self._window(self.reference), self._window(self.subject)
        self.compared.bytes += expected.nbytes
        if not np.array_equal(expected, actual):
            byte = int(np.flatnonzero(expected != actual)[0])
            raise DifferenceError(
                f"the windows differ {when} first in byte {byte % WORD_BYTES} of word {byte // WORD_BYTES}: "
                f"golden {expected[byte]}, the C simulation {actual[byte]}"
            )


def written_operands(instruction: Instruction) -> list[Operand]:
    """The operands in memory that an instruction writes."""
    return [operand for operand in instruction.op.operands if operand.is_written(instruction.flags)]


def _read_matrix(device: Device, place: Matrix, element: str, rows: int, columns: int) -> npt.NDArray[Any]:
    """Rows with their padding, as they are stored; what lies between the rows is left out."""
    element, columns = stored_as(element, columns)
    words, lanes = words_per_row(element, columns), WORD_BYTES // ELEMENT_BYTES[element]
    pitch = place.pitch if rows > 1 else words
    flat = device.read(place.address, (((rows - 1) * pitch + words) * lanes,), _TYPES[element])
    padded = np.zeros(rows * pitch * lanes, flat.dtype)
    padded[: flat.size] = flat
    return padded.reshape(rows, pitch * lanes)[:, : -(-columns // LANES) * LANES]
