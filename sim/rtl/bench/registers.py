"""The AXI-Lite port, register by register: what holds, what is cleared by reading, what starts and what interrupts.

These tests need no memory behind the masters: runs end at once, refused because the window has no words.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from hls.spec.registers import AP_DONE, AP_IDLE, AP_READY, AP_START, BY_NAME, REGISTERS, SPAN, Direction
from hls.spec.status import Status
from sim.rtl.bench.environment import IS_SHELL, LIMIT, Bench
from sim.rtl.bench.memory import PATTERNS

INPUTS = [register for register in REGISTERS if register.direction is Direction.INPUT]
OUTPUTS = [register for register in REGISTERS if register.direction is Direction.OUTPUT]
INPUT_WORDS = [register.offset + 4 * i for register in INPUTS for i in range(register.bits // 32)]
KNOWN = {register.offset + 4 * i for register in REGISTERS for i in range(register.bits // 32)}
VALID = {register.offset + 4 for register in OUTPUTS}
"""Where Vitis HLS has the flag that an output is valid; the shell has nothing there."""
AUTO_RESTART = 1 << 7


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
async def reset_values(dut: Any) -> None:
    """Everything is zero, and the accelerator idle."""
    bench = await Bench.start(dut)
    for offset in sorted(KNOWN):
        expected = AP_IDLE if offset == BY_NAME["ap_ctrl"].offset else 0
        assert await bench.read_word(offset) == expected, f"{offset:#x} after reset"


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
async def arguments_hold_every_bit(dut: Any) -> None:
    """Each bit of each argument alone, then all arguments at once: none is another's."""
    bench = await Bench.start(dut)
    for offset in INPUT_WORDS:
        for value in (*(1 << bit for bit in range(32)), 0xFFFFFFFF, 0x5A5AA5A5, 0):
            await bench.write_word(offset, value)
            assert await bench.read_word(offset) == value, f"{offset:#x}"
    draw = random.Random(7)
    values = {offset: draw.getrandbits(32) for offset in INPUT_WORDS}
    for offset, value in values.items():
        await bench.write_word(offset, value)
    for offset, value in values.items():
        assert await bench.read_word(offset) == value, f"{offset:#x} after all were written"


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
async def byte_strobes(dut: Any) -> None:
    """All sixteen sets of byte lanes change those bytes and no others."""
    bench = await Bench.start(dut)
    draw = random.Random(11)
    for offset, lanes in itertools.product(INPUT_WORDS, range(1, 16)):
        old, new = draw.getrandbits(32), draw.getrandbits(32)
        await bench.write_word(offset, old)
        expected = old
        for lane in range(4):
            if lanes >> lane & 1:
                await bench.axil.write(offset + lane, bytes([new >> 8 * lane & 0xFF]))
                expected = expected & ~(0xFF << 8 * lane) | new & 0xFF << 8 * lane
        assert await bench.read_word(offset) == expected, f"{offset:#x}, lanes {lanes:04b}"


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
async def outputs_and_gaps_cannot_be_written(dut: Any) -> None:
    """The whole range: what is no register reads as zero and changes nothing."""
    bench = await Bench.start(dut)
    span = SPAN if IS_SHELL else max(KNOWN) + 4
    unknown = [offset for offset in range(0, span, 4) if offset not in KNOWN | (set() if IS_SHELL else VALID)]
    outputs = [register.offset for register in OUTPUTS]
    for offset in unknown + outputs:
        await bench.write_word(offset, 0xFFFFFFFF)
    for offset in unknown + outputs + INPUT_WORDS:
        assert await bench.read_word(offset) == 0, f"{offset:#x}"
    assert await bench.read("ap_ctrl") == AP_IDLE
    assert await bench.read("gie") == await bench.read("ier") == await bench.read("isr") == 0


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
@cocotb.parametrize(channel=["aw", "w", "b", "ar", "r"])
async def accesses_in_any_order(dut: Any, channel: str) -> None:
    """Address before data, data before address, late responses: registers hold all the same."""
    bench = await Bench.start(dut)
    side = bench.axil.read_if if channel in ("ar", "r") else bench.axil.write_if
    getattr(side, f"{channel}_channel").set_pause_generator(PATTERNS["all mostly"](channel, 0, 3))
    draw = random.Random(5)
    for offset in INPUT_WORDS * 2:
        value = draw.getrandbits(32)
        await bench.write_word(offset, value)
        assert await bench.read_word(offset) == value


async def refused(bench: Bench) -> int:
    """Start a run that ends at once; `ap_ctrl` after it."""
    await bench.write("window_words", 0)
    await bench.write("ap_ctrl", AP_START)
    return await until(bench, "ap_ctrl", AP_DONE)


async def until(bench: Bench, name: str, bit: int) -> int:
    """Read a register until it shows the bit; its value."""
    for _ in range(200):
        value = await bench.read(name)
        if value & bit:
            return value
    raise AssertionError(f"{name} did not show {bit:#x}")


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
async def a_run_ends_and_is_cleared_by_reading(dut: Any) -> None:
    """Done and ready once, idle before and after; status, configuration hash and cycles are shown."""
    bench = await Bench.start(dut)
    for _ in range(3):
        assert await refused(bench) & (AP_DONE | AP_IDLE | AP_START) == AP_DONE | AP_IDLE
        assert await bench.read("ap_ctrl") & (AP_DONE | AP_READY | AP_IDLE | AP_START) == AP_IDLE
        assert await bench.read("status") == Status.PROGRAM_OUTSIDE_WINDOW
        assert await bench.read("failed_instruction") == 0
        assert await bench.read("hash_low") | await bench.read("hash_high") << 32 == bench.config.hash
        if IS_SHELL:
            assert 0 < await bench.cycles() < 200
    bench.check()


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
async def interrupts_of_every_kind(dut: Any) -> None:
    """The line is high exactly when interrupts are on and an enabled event came; ISR is cleared by writing it."""
    bench = await Bench.start(dut)
    for gie, ier in itertools.product((0, 1), range(4)):
        await bench.write("gie", gie)
        await bench.write("ier", ier)
        await refused(bench)
        assert await bench.read("isr") == ier, f"gie {gie}, ier {ier}"
        assert bool(int(dut.irq.value)) == bool(gie and ier), f"gie {gie}, ier {ier}"
        await bench.write("gie", 1)
        await ClockCycles(dut.ap_clk, 1)
        assert bool(int(dut.irq.value)) == bool(ier), "the global switch comes after the event"
        for bit in (1, 2):
            if ier & bit:
                await bench.write("isr", bit)
                ier &= ~bit
            assert await bench.read("isr") == ier
        assert not int(dut.irq.value)
    for name, bits in (("gie", 1), ("ier", 3)):
        await bench.write(name, 0xFFFFFFFF)
        assert await bench.read(name) == bits
        await bench.write(name, 0)


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
async def auto_restart(dut: Any) -> None:
    """Runs follow each other until the bit is taken away."""
    bench = await Bench.start(dut)
    await bench.write("ier", 1)
    await bench.write("window_words", 0)
    await bench.write("ap_ctrl", AP_START | AUTO_RESTART)
    for _ in range(4):
        await until(bench, "isr", 1)
        await bench.write("isr", 1)
    assert await bench.read("ap_ctrl") & AUTO_RESTART
    await bench.write("ap_ctrl", 0)
    await ClockCycles(dut.ap_clk, 400)
    assert await bench.read("ap_ctrl") & (AP_START | AP_IDLE | AUTO_RESTART) == AP_IDLE
    await bench.write("isr", await bench.read("isr"))
    await ClockCycles(dut.ap_clk, 400)
    assert await bench.read("isr") == 0, "a run began without a start"
    bench.check()


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
async def a_start_without_its_byte_is_none(dut: Any) -> None:
    """Writing other bytes of the control register starts nothing."""
    bench = await Bench.start(dut)
    await bench.axil.write(BY_NAME["ap_ctrl"].offset + 1, b"\xff\xff\xff")
    await ClockCycles(dut.ap_clk, 300)
    assert await bench.read("ap_ctrl") == AP_IDLE
