"""Mutated programs: refused as the specification says or run, and nothing outside the window is written."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from hls.spec.config import HardwareConfig, load
from hls.spec.formats import WORD_BYTES
from hls.spec.instruction import INSTRUCTION_BYTES, MAGIC, assemble
from hls.spec.status import Status
from host.device import RunResult
from sim.csim import build
from sim.fuzz.guarded import EscapeError, GuardedDevice
from sim.fuzz.mutation import mutate
from sim.fuzz.trial import ROOM_WORDS, Base, VerdictError, compiled_bases, mutated_window, run_trial
from sim.fuzz.verdict import Verdict, verdict
from sim.golden.device import GoldenDevice
from tests.sim.op_cases import OP_NAMES, random_case

OP_SEEDS = 20
COMPILED_SEEDS = 240
GOLDEN_SEEDS = 30


@cache
def toy() -> HardwareConfig:
    return load("toy")


@cache
def csim() -> GuardedDevice:
    build(toy(), "fast")
    return GuardedDevice(toy())


@cache
def golden_bases() -> tuple[GoldenDevice, list[Base]]:
    device = GoldenDevice(toy())
    return device, compiled_bases(device)


def op_base(op_name: str, seed: int) -> Base:
    """A program of one instruction, with room behind it for the ones that a mutation adds."""
    case = random_case(op_name, seed, toy())
    size = INSTRUCTION_BYTES * (2 + len(case.instructions))
    program = case.memory[case.program * WORD_BYTES :][:size].tobytes()
    return Base(op_name, np.append(case.memory, np.zeros(ROOM_WORDS * WORD_BYTES, np.uint8)), case.program, program)


@pytest.mark.parametrize("op_name", OP_NAMES)
def test_mutated_instruction_on_the_c_simulation(op_name: str) -> None:
    for seed in range(OP_SEEDS):
        base = op_base(op_name, seed)
        csim().allocate(len(base.memory) // WORD_BYTES)
        run_trial(csim(), base, seed)


@pytest.mark.parametrize("variant", ["fast", pytest.param("sanitized", marks=pytest.mark.slow)])
def test_mutated_programs_on_the_c_simulation(variant: str) -> None:
    # In processes of their own: a crash there is a failed test here.
    csim()
    command = [sys.executable, "-m", "sim.fuzz", "--count", str(COMPILED_SEEDS), "--variant", variant]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "OK" in run.stdout
    assert "BAD_SHAPE" in run.stdout


@pytest.mark.parametrize("seed", range(GOLDEN_SEEDS))
def test_mutated_program_on_the_golden_model(seed: int) -> None:
    device, bases = golden_bases()
    run_trial(device, bases[seed % len(bases)], seed)


def test_a_mutation_is_the_same_for_the_same_seed() -> None:
    base = op_base("gemm_nt", 0)
    (one, start), (other, again), (different, _) = (mutated_window(base, seed) for seed in (5, 5, 6))
    assert start == again
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, different)


def test_a_mutation_fits_its_room() -> None:
    base = op_base("gelu", 0)
    lengths = {len(mutate(base.data, np.random.default_rng(seed), 1000)) for seed in range(500)}
    assert max(lengths) <= len(base.data) + ROOM_WORDS * WORD_BYTES
    assert len(lengths) > 2


class _Escaping(GuardedDevice):
    """Writes next to its window, as a broken kernel would."""

    offset = 0

    def _call(self, function: str) -> None:
        if function == "__asan_unpoison_memory_region":
            self._guards[self.offset < 0][0 if self.offset < 0 else -1] ^= 1


@pytest.mark.parametrize("offset, place", [(-1, "behind"), (1, "before")])
def test_a_write_outside_the_window_is_seen(offset: int, place: str) -> None:
    csim()
    device = _Escaping(toy())
    device.offset = offset
    device.allocate(64)
    with pytest.raises(EscapeError, match=f"guard {place} the window"):
        device.run(0)


class _Obliging:
    """A device that runs everything."""

    def __init__(self) -> None:
        self.config = toy()

    def write(self, address: int, data: np.ndarray) -> None:
        """Nothing is kept."""

    def run(self, program: int) -> RunResult:
        return RunResult(Status.OK, 0, 0)


def test_a_wrong_end_is_seen() -> None:
    base = op_base("gelu", 0)
    seed = next(s for s in range(100) if _verdict(base, s).status is Status.BAD_SHAPE)
    with pytest.raises(VerdictError, match=r"ended with OK .* says BAD_SHAPE at 0"):
        run_trial(_Obliging(), base, seed)  # type: ignore[arg-type]


def _verdict(base: Base, seed: int) -> Verdict:
    memory, start = mutated_window(base, seed)
    return verdict(memory.tobytes(), start, toy())


def test_the_verdict_of_a_program_that_overwrites_itself_is_not_certain() -> None:
    case = random_case("gather_tokens", 0, toy())
    (instruction,) = case.instructions
    place = instruction.operands["y"]
    instruction.operands["y"] = type(place)(case.program, place.pitch, place.slot)
    memory = np.append(case.memory, np.zeros(1 << 18, np.uint8))
    data = assemble([instruction], toy().hash, case.slot_table, case.slots)
    memory[case.program * WORD_BYTES :][: len(data)] = np.frombuffer(data, np.uint8)
    assert int.from_bytes(data[:4], "little") == MAGIC
    assert not verdict(memory.tobytes(), case.program, toy()).certain
