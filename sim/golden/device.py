"""`host.device.Device` on the golden model."""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from hls.spec.config import HardwareConfig
from hls.spec.formats import LANES, WORD_BYTES
from hls.spec.instruction import FIELDS, HEADER, INSTRUCTION_BYTES, INSTRUCTION_WORDS, OPCODE_FIELD, Instruction, decode
from hls.spec.legality import END_OPCODE, check, check_program
from hls.spec.slots import RECORD_WORDS
from hls.spec.status import Status
from host.device import NO_COUNTERS, Counters, RunResult
from host.errors import PeelVitError
from sim.golden.interpreter import execute
from sim.golden.memory import Memory
from sim.golden.slots import pack, unpack


class GoldenDevice:
    """Runs programs on the golden model, on the CPU or a GPU; it has no notion of time (0 cycles, empty counters)."""

    def __init__(self, config: HardwareConfig, device: str = "cpu") -> None:
        self.config, self.device = config, device
        self._memory = Memory(0, device)

    def allocate(self, words: int) -> None:
        """Take a zeroed window of `words` 16-byte words; `PeelVitError` when the memory is not there."""
        self.close()
        try:
            self._memory = Memory(words, self.device)
        except (RuntimeError, MemoryError):
            raise PeelVitError(
                f"there is no memory for a window of {words * WORD_BYTES >> 20} MiB on {self.device}; "
                "use a smaller model or micro-batch"
            ) from None

    def write(self, address: int, data: npt.NDArray[np.generic]) -> None:
        """Copy a C-contiguous array to word `address`; its bytes are padded to a whole word with zeros."""
        content = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        words = -(-content.size // WORD_BYTES)
        self._need_inside(address, words)
        padded = np.zeros(words * WORD_BYTES, np.uint8)
        padded[: content.size] = content
        target = self._memory.elements[address * LANES : (address + words) * LANES]
        target.copy_(torch.from_numpy(padded.view(np.int16)))

    def read(self, address: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
        """A copy of the memory at word `address`."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        words = -(-size // WORD_BYTES)
        self._need_inside(address, words)
        content = np.frombuffer(self._memory.bytes_at(address, words), np.uint8)[:size]
        return content.view(dtype).reshape(shape).copy()

    def run(self, program: int) -> RunResult:
        """Run the program at word `program` to its end or to the first instruction that is refused."""
        memory = self._memory
        status = check_program(memory.bytes_at, program, self.config, memory.words)
        if status is not Status.OK:
            return RunResult(status, 0, 0)
        header = dict(
            zip(HEADER, struct.unpack(f"<{FIELDS}I", memory.bytes_at(program, INSTRUCTION_WORDS)), strict=False)
        )
        count, slot_table, slots = header["instructions"], header["slot_table"], header["slots"]
        body = memory.bytes_at(program + INSTRUCTION_WORDS, count * INSTRUCTION_WORDS)
        table = unpack(memory.bytes_at(slot_table, slots * RECORD_WORDS))
        instructions, status = _prepared(body, self.config, memory.words, slots)
        for instruction in instructions:
            table = execute(memory, table, instruction)
        memory.put_bytes(slot_table, pack(table))
        return RunResult(status, len(instructions), 0)

    def counters(self) -> Counters:
        """Nothing: the golden model does not count."""
        return NO_COUNTERS

    def close(self) -> None:
        """Give the window back."""
        self._memory = Memory(0, self.device)

    def _need_inside(self, address: int, words: int) -> None:
        if not 0 <= address <= address + words <= self._memory.words:
            raise ValueError(f"words {address} to {address + words} are outside the window of {self._memory.words}")


@lru_cache(maxsize=64)
def _prepared(
    body: bytes, config: HardwareConfig, window_words: int, slots: int
) -> tuple[tuple[Instruction, ...], Status]:
    """The instructions before the one at which the program stops, and the status with which it does."""
    instructions: list[Instruction] = []
    for start in range(0, len(body), INSTRUCTION_BYTES):
        data = body[start : start + INSTRUCTION_BYTES]
        fields = struct.unpack(f"<{FIELDS}I", data)
        status = check(fields, config, window_words, slots)
        if status is not Status.OK or fields[OPCODE_FIELD] & 0xFF == END_OPCODE:
            return tuple(instructions), status
        instructions.append(decode(data))
    raise AssertionError("check_program has seen the `end`")
