"""The parity tool's own trial: an error of one bit in one instruction is named at exactly that tensor."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from hls.spec.config import load
from hls.spec.formats import WORD_BYTES, stored_as
from host.compiler import Program, compile_program
from host.device import Counters, RunResult
from host.layout import Layout, plan_layout
from host.model import Sparsity, ViTConfig
from host.tensors import Use
from sim.golden.device import GoldenDevice
from sim.parity.lockstep import DifferenceError, LockstepDevice, written_operands
from sim.workload import load_model, write_program

MODEL = ViTConfig("small", image_size=8, patch_size=2, channels=1, dim=12, depth=2, heads=2, mlp_hidden=20, classes=5)


class CorruptDevice:
    """A golden device that flips one bit of `word` in its memory after its run number `run`, counted from 0."""

    def __init__(self, run: int, word: int, bit: int = 0) -> None:
        self._golden = GoldenDevice(load("toy"))
        self.config, self._runs_left, self._word, self._bit = self._golden.config, run, word, bit

    def allocate(self, words: int) -> None:
        self._golden.allocate(words)

    def write(self, address: int, data: npt.NDArray[np.generic]) -> None:
        self._golden.write(address, data)

    def read(self, address: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
        return self._golden.read(address, shape, dtype)

    def run(self, program: int) -> RunResult:
        result = self._golden.run(program)
        if self._runs_left == 0:
            word = self._golden.read(self._word, (WORD_BYTES,), np.uint8)
            word[self._bit // 8] ^= 1 << self._bit % 8
            self._golden.write(self._word, word)
        self._runs_left -= 1
        return result

    def counters(self) -> Counters:
        return self._golden.counters()

    def close(self) -> None:
        self._golden.close()


@cache
def step() -> tuple[Layout, Program]:
    """A sparse training step with its update."""
    plan = Sparsity(0.7, 0.6, (2,)).plan(MODEL)
    layout = plan_layout(load("toy"), MODEL, Use(batch=2, selectors=plan.selectors))
    return layout, compile_program(layout, plan, update_images=2)


def run_in_lockstep(subject: GoldenDevice | CorruptDevice) -> LockstepDevice:
    layout, program = step()
    device = LockstepDevice(GoldenDevice(layout.config), subject, labels={program.data: program.names})
    load_model(device, layout, seed=3)
    device.run(write_program(device, layout, program))
    return device


def test_equal_devices_are_compared_wholly() -> None:
    compared = run_in_lockstep(GoldenDevice(load("toy"))).compared
    instructions = step()[1].instructions
    assert (compared.programs, compared.instructions) == (1, len(instructions))
    assert compared.tensors == sum(len(written_operands(i)) for i in instructions)


@pytest.mark.parametrize("name", ["blocks.0.mlp.fc1 dW", "blocks.1.attn forward", "cross_entropy", "norm backward"])
def test_a_flipped_bit_is_named_at_its_tensor(name: str) -> None:
    _, program = step()
    index = program.names.index(name)
    instruction = program.instructions[index]
    for operand in written_operands(instruction):
        place = instruction.operand(operand.name)
        lane = 2 if stored_as(operand.element, 1)[0] == "i32" else 4
        with pytest.raises(DifferenceError) as raised:
            run_in_lockstep(CorruptDevice(index, place.address, bit=64))
        what = f"{instruction.op.name} differs in operand {operand.name} at row 0, column {lane}:"
        assert str(raised.value).startswith(f"instruction {index} ({name}): {what}")


def test_a_flipped_bit_of_the_slot_table_is_named() -> None:
    layout, _ = step()
    slot = 5
    word = layout.training_slots.address + 2 * slot
    with pytest.raises(DifferenceError, match=rf"instruction 7 .*: slot {slot} .* differs in f_previous"):
        run_in_lockstep(CorruptDevice(7, word, bit=32))


def test_a_stray_write_is_found_in_the_windows() -> None:
    layout, _ = step()
    word = layout.addresses["patches"] + 1
    with pytest.raises(DifferenceError, match=rf"windows differ after its instructions .* of word {word}:"):
        run_in_lockstep(CorruptDevice(len(step()[1].instructions) - 1, word))


def test_an_error_of_the_whole_program_alone_is_found() -> None:
    layout, program = step()
    word = layout.addresses["norm"]
    with pytest.raises(DifferenceError, match="windows differ after the program in one start"):
        run_in_lockstep(CorruptDevice(len(program.instructions), word))
