"""Bursts in every shape: a copying kernel behind the shell's masters, against every pattern of waiting."""

from __future__ import annotations

import itertools
import random
from typing import Any

import cocotb
import numpy as np
from cocotbext.axi import AxiResp
from numpy.typing import NDArray

from hls.spec.status import Status
from sim.rtl.bench.environment import ABOVE_4G, LIMIT, Bench
from sim.rtl.bench.memory import PATTERNS
from sim.rtl.shell.watched import PORTS

WORDS = 4096
"""Of the window: descriptors in the first 256, sources in the lower half, targets in the upper."""
ALL_PORTS = 64
INTERLEAVED = 128
PAGE = 256
"""Words of 4 KiB."""


def descriptor(
    words: int,
    source: int,
    target: int,
    ports: tuple[int, int] | None = None,
    strobe: int = 0xFFFF,
    interleaved: bool = False,
) -> Any:
    """What sim/rtl/shell/traffic.cpp reads: copy `words` words; on all ports (each its own part) when none is named.

    An `interleaved` one writes each word as it comes, so that words go both ways at a time.
    """
    how = (ALL_PORTS if ports is None else ports[0] | ports[1] << 3) | (INTERLEAVED if interleaved else 0)
    return np.array([how | strobe << 16, words, source, target], np.uint32)


def window(descriptors: list[Any], seed: int = 1) -> NDArray[np.uint8]:
    """Noise, with the descriptors in front."""
    data = np.random.default_rng(seed).integers(0, 256, WORDS * 16, np.uint8)
    head = np.array([[len(descriptors), 0, 0, 0], *descriptors], np.uint32)
    data[: head.nbytes] = head.reshape(-1).view(np.uint8)
    return data


def copied(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The window after the descriptors in it were obeyed."""
    rows = data.copy().reshape(-1, 16)
    lanes = rows.view(np.uint32)
    for how, words, source, target in lanes[1 : 1 + int(lanes[0, 0])].astype(int).tolist():
        count = words * (PORTS if how & ALL_PORTS else 1)
        lane = [bool(how >> 16 >> i & 1) for i in range(16)]
        rows[target : target + count, lane] = rows[source : source + count][:, lane]
    return rows.reshape(-1)


async def obey(bench: Bench, descriptors: list[Any], base: int = ABOVE_4G, most_cycles: int = 30_000) -> None:
    """Run the descriptors and compare the whole window."""
    data = window(descriptors)
    bench.use_memory(data, base)
    assert await bench.run(0, most_cycles) is Status.OK
    expected = copied(data)
    different = np.flatnonzero(bench.memory.data != expected)
    assert not different.size, (
        f"byte {different[0]:#x} is {bench.memory.data[different[0]]}, not {expected[different[0]]}"
    )


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
async def lengths_and_ports(dut: Any) -> None:
    """Every length up to two and a half bursts, every pair of ports."""
    bench = await Bench.start(dut)
    burst = bench.config.burst_words
    pairs = [(i, j) for i in range(PORTS) for j in range(PORTS)]
    lengths = [*range(1, min(2 * burst + burst // 2, 80))]
    descriptors = [descriptor(words, 300 + 7 * words, 2200 + 9 * words, pairs[words % len(pairs)]) for words in lengths]
    await obey(bench, descriptors)
    bench.check()


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
@cocotb.parametrize(base=[0x0, 0x4000_0000, 0x7_FFFF_8000, 0x8_0000_0000, 0xFF_FFFF_0000 - 0x20000])
async def boundaries(dut: Any, base: int) -> None:
    """Runs that end before, at and behind 4 KiB, on all ports; a window at the ends of the address range."""
    bench = await Bench.start(dut)
    descriptors = []
    for before in (1, 2, bench.config.burst_words - 1, bench.config.burst_words, bench.config.burst_words + 1):
        for behind in (0, 1, 2, bench.config.burst_words):
            source, target = 2 * PAGE - before, 10 * PAGE - behind
            descriptors.append(descriptor(before + behind, source, target, (before % PORTS, behind % PORTS)))
    descriptors.append(descriptor(5 * PAGE // 4, 3 * PAGE - 5, 9 * PAGE + 3))
    await obey(bench, descriptors, base)
    bench.check()


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
@cocotb.parametrize(base_offset=[16, 0x230, 0xFF0])
async def alignment(dut: Any, base_offset: int) -> None:
    """A window that does not begin at a page, nor at a burst."""
    bench = await Bench.start(dut)
    await obey(bench, [descriptor(100, 300, 2100), descriptor(37, 700, 3000, (1, 2))], ABOVE_4G + base_offset)
    bench.check()


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
async def low_address_bits_count_as_zero(dut: Any) -> None:
    """Like Vitis HLS, an address inside a word means the word."""
    bench = await Bench.start(dut)
    data = window([descriptor(20, 300, 2100)])
    bench.use_memory(data)
    for port in range(PORTS):
        await bench.write(f"mem{port}", ABOVE_4G + 3 * port)
    await bench.write("window_words", WORDS)
    await bench.write("gie", 1)
    await bench.write("ier", 1)
    await bench.write("ap_ctrl", 1)
    assert await bench.finish() is Status.OK
    assert np.array_equal(bench.memory.data, copied(data))
    bench.check()


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
async def each_port_has_its_own_address(dut: Any) -> None:
    """An address register and a place a port."""
    bench = await Bench.start(dut)
    data = window([descriptor(9, 300, 2100, (i, j)) for i in range(PORTS) for j in range(PORTS)])
    bench.use_memory(data)
    bench.memory.stride = 1 << 32
    dut.window_bytes.value = data.size + (PORTS - 1) * bench.memory.stride
    await bench.launch(0)
    assert await bench.finish() is Status.OK
    assert np.array_equal(bench.memory.data, copied(data))
    bench.check()


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
async def byte_strobes(dut: Any) -> None:
    """Every single lane, none, and random sets: what has no strobe stays as it was."""
    bench = await Bench.start(dut)
    draw = random.Random(3)
    strobes = [1 << lane for lane in range(16)] + [0x00FF, 0xF00F] + [0] * PORTS**2
    strobes += [draw.getrandbits(16) for _ in range(12)]
    descriptors = [
        descriptor(3 + i % 5, 300 + 8 * i, 2100 + 11 * i, (i % PORTS, i // PORTS % PORTS), strobe)
        for i, strobe in enumerate(strobes)
    ]
    await obey(bench, descriptors)
    bench.check()


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
@cocotb.parametrize(pattern=list(PATTERNS))
async def waiting(dut: Any, pattern: str) -> None:
    """Every pattern of waiting, crossed with single words, short and long bursts, one and all ports, both ways."""
    bench = await Bench.start(dut)
    for seed in range(2):
        bench.slaves.pause(pattern, seed)
        descriptors = [
            descriptor(1, 300, 2100, (seed, 2 - seed)),
            descriptor(5, 400, 2205, (2, seed)),
            descriptor(70, 503, 2300),
            descriptor(1, 900, 2601),
            descriptor(33, 1000, 2700, (1, 1)),
            descriptor(90, 1100, 3000, interleaved=True),
        ]
        await obey(bench, descriptors)
    bench.check()


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
async def outstanding(dut: Any) -> None:
    """A memory that takes requests but answers late sees as many bursts as the configuration allows, and no more."""
    bench = await Bench.start(dut)
    long = (bench.config.outstanding + 4) * bench.config.burst_words
    words = min(long, 600)
    for slow in ("r rarely", "b rarely"):
        bench.slaves.pause(slow)
        await obey(bench, [descriptor(words, 300, 2100, (port, port)) for port in range(PORTS)], most_cycles=200_000)
    bench.check()


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
@cocotb.parametrize(
    fail_at=[1, 2, 30, 100, 160, 190],
    response=[AxiResp.SLVERR, AxiResp.DECERR],
    pattern=["none", "all half of the time"],
)
async def error_responses(dut: Any, fail_at: int, response: AxiResp, pattern: str) -> None:
    """Whichever access is refused, read or write: the run ends with its status, quietly, and the next one is right."""
    bench = await Bench.start(dut)
    bench.slaves.pause(pattern, fail_at)
    descriptors = [descriptor(60, 300, 2100, (1, 2)), descriptor(40, 500, 2300)]
    bench.use_memory(window(descriptors))
    bench.memory.fail_at, bench.memory.response = fail_at, response
    wanted = Status.BUS_SLAVE_ERROR if response is AxiResp.SLVERR else Status.BUS_DECODE_ERROR
    assert await bench.run(0) is wanted
    accesses = bench.memory.accesses
    for _ in range(50):
        await cocotb.triggers.RisingEdge(dut.ap_clk)
        for port, channel in itertools.product(range(PORTS), ("AR", "AW")):
            assert not int(getattr(dut, f"m_axi_gmem{port}_{channel}VALID").value)
    assert bench.memory.accesses == accesses, "the memory is still accessed after the run ended"
    bench.memory.fail_at = 0
    await obey(bench, descriptors)
    bench.check()


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
@cocotb.parametrize(port=list(range(PORTS)), response=[AxiResp.SLVERR, AxiResp.DECERR], at=[15, 35, 42])
async def every_port_reports_errors(dut: Any, port: int, response: AxiResp, at: int) -> None:
    """Reads and writes of each port, the last of an instruction among them: it is the one that failed."""
    bench = await Bench.start(dut)
    bench.use_memory(window([descriptor(20, 300, 2100, (port, port))]))
    # Two words of descriptors, twenty words read, twenty written.
    bench.memory.fail_at, bench.memory.response = at, response
    wanted = Status.BUS_SLAVE_ERROR if response is AxiResp.SLVERR else Status.BUS_DECODE_ERROR
    assert await bench.run(0) is wanted
    assert await bench.read("failed_instruction") == 0
    bench.check()


@cocotb.test(timeout_time=LIMIT, timeout_unit="ns")
@cocotb.parametrize(
    after=[12, 40, 90, 200, 333], pattern=["none", "all half of the time", "ar rarely", "aw rarely", "w rarely"]
)
async def reset_in_the_middle(dut: Any, after: int, pattern: str) -> None:
    """A reset at any time ends the run; nothing of it is left for the next one."""
    bench = await Bench.start(dut)
    bench.slaves.pause(pattern, after)
    descriptors = [descriptor(60, 300, 2100, (1, 2)), descriptor(40, 500, 2300)]
    bench.use_memory(window(descriptors))
    await bench.launch(0)
    await cocotb.triggers.ClockCycles(dut.ap_clk, after)
    await bench.reset()
    assert await bench.read("ap_ctrl") == 4, "idle after a reset"
    assert await bench.read("mem1") == 0
    bench.slaves.pause("none")
    await obey(bench, descriptors)
    bench.check()
