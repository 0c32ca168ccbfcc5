"""Whole programs on the accelerator: golden's bytes, measured cycles beside modelled ones, and what may go wrong."""

from __future__ import annotations

import json
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiResp

from hls.spec.instruction import INSTRUCTION_WORDS
from hls.spec.status import Status
from sim.rtl.bench.environment import ABOVE_4G, FOLDER, IS_SHELL, LIMIT, Bench, HungError
from sim.rtl.bench.recorded import Recorded, load_recorded

MOST_CYCLES = 200_000


def recorded(name: str) -> Recorded:
    """A program and what golden made of it."""
    return load_recorded(FOLDER / f"{name}.npz")


def assert_window(bench: Bench, expected: Any) -> None:
    """Byte for byte."""
    different = np.flatnonzero(bench.memory.data != expected)
    assert not different.size, f"{different.size} bytes differ from golden, the first at word {different[0] // 16}"


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
@cocotb.parametrize(
    case=[
        ("inference", "none"),
        ("train", "none"),
        ("inference", "all half of the time"),
        ("inference", "one port slow"),
    ]
)
async def equals_golden(dut: Any, case: tuple[str, str]) -> None:
    """Inference and a training step with pruning, at full speed and against a memory that hesitates."""
    name, pattern = case
    bench = await Bench.start(dut)
    bench.slaves.pause(pattern, 1)
    program = recorded(name)
    bench.use_memory(program.before)
    assert await bench.run(program.program, MOST_CYCLES) is Status.OK
    assert_window(bench, program.after)
    bench.check()
    measured = await bench.cycles() if IS_SHELL else 0
    words = [sum(length for _, length in port) // 16 for port in bench.memory.reads + bench.memory.writes]
    line = {"program": name, "memory": pattern, "modelled": program.modelled, "measured": measured, "words": words}
    with (FOLDER / "cycles.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    if IS_SHELL:
        assert measured >= program.modelled
        assert words == bench.kernel_words(), "the bus moved other words than the cycle model counts"
        if pattern == "none":
            assert measured <= 1.4 * program.modelled


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
@cocotb.parametrize(after=[60, 500, 5000], pattern=["none", "all mostly"])
async def reset_in_the_middle(dut: Any, after: int, pattern: str) -> None:
    """A reset ends a program anywhere; the same program then runs from its start."""
    bench = await Bench.start(dut)
    bench.slaves.pause(pattern, after)
    program = recorded("inference")
    bench.use_memory(program.before)
    await bench.launch(program.program)
    await ClockCycles(dut.ap_clk, after)
    await bench.reset()
    bench.slaves.pause("none")
    bench.use_memory(program.before)
    assert await bench.run(program.program, MOST_CYCLES) is Status.OK
    assert_window(bench, program.after)
    bench.check()


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns", skip=not IS_SHELL)
@cocotb.parametrize(
    case=[(1, AxiResp.SLVERR), (50, AxiResp.DECERR), (900, AxiResp.SLVERR), (1500, AxiResp.DECERR)],
)
async def error_responses(dut: Any, case: tuple[int, AxiResp]) -> None:
    """A refused access ends the program with its status and instruction; the next run is right.

    The adapters that Vitis HLS makes ignore responses, so exported RTL cannot pass this.
    """
    fail_at, response = case
    bench = await Bench.start(dut)
    program = recorded("inference")
    bench.use_memory(program.before)
    bench.memory.fail_at, bench.memory.response = fail_at, response
    wanted = Status.BUS_SLAVE_ERROR if response is AxiResp.SLVERR else Status.BUS_DECODE_ERROR
    assert await bench.run(program.program, MOST_CYCLES) is wanted
    failed = await bench.read("failed_instruction")
    assert failed == 0 if fail_at <= 50 else 0 < failed < program.instructions
    bench.use_memory(program.before)
    bench.memory.fail_at = 0
    assert await bench.run(program.program, MOST_CYCLES) is Status.OK
    assert_window(bench, program.after)
    bench.check()


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
async def a_memory_that_never_answers(dut: Any) -> None:
    """The run does not end, and a reset helps."""
    bench = await Bench.start(dut)
    program = recorded("inference")
    bench.use_memory(program.before)
    bench.memory.fail_at, bench.memory.hangs = 40, True
    await bench.launch(program.program)
    try:
        await bench.finish(5000)
    except HungError:
        pass
    else:
        raise AssertionError("a run ended whose memory never answered")
    bench.memory.fail_at = 0
    await bench.reset()
    bench.use_memory(program.before)
    assert await bench.run(program.program, MOST_CYCLES) is Status.OK
    assert_window(bench, program.after)


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
@cocotb.parametrize(words_missing=[1, 100])
async def window_violations(dut: Any, words_missing: int) -> None:
    """A window that ends before the program, or before an operand: a status, and no access outside of it."""
    bench = await Bench.start(dut)
    program = recorded("inference")
    end = program.program + INSTRUCTION_WORDS * (program.instructions + 2)
    bench.use_memory(program.before)
    short = end - words_missing
    dut.window_bytes.value = 16 * short
    await bench.launch(program.program, short)
    assert await bench.finish() is Status.PROGRAM_OUTSIDE_WINDOW
    assert_window(bench, program.before)
    bench.check()


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
async def an_operand_outside_the_window(dut: Any) -> None:
    """The program fits, an operand of one of its instructions does not: everything before it runs, it does not."""
    bench = await Bench.start(dut)
    program = recorded("outside")
    bench.use_memory(program.before)
    assert await bench.run(program.program, MOST_CYCLES) is Status.OUTSIDE_WINDOW
    assert await bench.read("failed_instruction") == program.instructions
    assert_window(bench, program.after)
    for accesses in bench.memory.reads + bench.memory.writes:
        assert all(ABOVE_4G <= address < ABOVE_4G + program.before.size for address, _ in accesses)
    bench.check()


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
async def a_damaged_program(dut: Any) -> None:
    """A flipped bit in an instruction is refused by the checksum, and nothing is written."""
    bench = await Bench.start(dut)
    program = recorded("inference")
    damaged = program.before.copy()
    damaged[16 * (program.program + INSTRUCTION_WORDS) + 7] ^= 0x10
    bench.use_memory(damaged)
    assert await bench.run(program.program) is Status.BAD_CHECKSUM
    assert_window(bench, damaged)
    bench.check()
