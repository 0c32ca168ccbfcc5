"""What a bench has in its hands: clock, reset, registers, memory, and what the checkers say in the end."""

from __future__ import annotations

import ctypes
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, First, RisingEdge, Timer
from cocotbext.axi import AxiLiteBus, AxiLiteMaster
from numpy.typing import NDArray

from hls.spec.config import HardwareConfig, load
from hls.spec.registers import AP_DONE, AP_START, BY_NAME
from hls.spec.status import Status
from sim.rtl.bench.memory import Memory, Slaves
from sim.rtl.shell.simulation import COUNTS
from sim.rtl.shell.watched import BINS, PORTS, RULES

PERIOD = 2
"""Of the clock, in ns: cycles are what counts."""
ABOVE_4G = 0x8_0000_0000
FOLDER = Path(os.environ.get("PEELVIT_BENCH", "."))
LIMIT = 250_000 * PERIOD
"""Of simulated time, in ns, for every test."""
IS_SHELL = os.environ.get("PEELVIT_DUT", "shell") == "shell"


class HungError(Exception):
    """A run did not end in time."""


class Bench:
    """The accelerator, driven."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.config: HardwareConfig = load(os.environ["PEELVIT_CONFIG"])
        self.memory = Memory()
        self.slaves = Slaves(dut, self.memory)
        self.axil = AxiLiteMaster(
            AxiLiteBus.from_prefix(dut, "s_axi_control"), dut.ap_clk, dut.ap_rst_n, reset_active_level=False
        )

    @classmethod
    async def start(cls, dut: Any) -> Bench:
        """Clock on, reset done."""
        Clock(dut.ap_clk, PERIOD, unit="ns").start()
        bench = cls(dut)
        dut.ap_rst_n.value = 0
        dut.window.value = 0
        dut.window_bytes.value = 0
        await bench.reset()
        return bench

    async def reset(self, cycles: int = 8) -> None:
        """Pull the reset line."""
        self.keep_coverage()
        self.dut.ap_rst_n.value = 0
        await ClockCycles(self.dut.ap_clk, cycles)
        self.dut.ap_rst_n.value = 1
        await ClockCycles(self.dut.ap_clk, 2)

    # Registers

    async def write_word(self, offset: int, value: int) -> None:
        """Write 32 bits."""
        await self.axil.write_dword(offset, value)

    async def read_word(self, offset: int) -> int:
        """Read 32 bits."""
        return int(await self.axil.read_dword(offset))

    async def write(self, name: str, value: int) -> None:
        """Write a register whole."""
        register = BY_NAME[name]
        for i in range(register.bits // 32):
            await self.write_word(register.offset + 4 * i, value >> 32 * i & 0xFFFFFFFF)

    async def read(self, name: str) -> int:
        """Read a register whole."""
        register = BY_NAME[name]
        words = [await self.read_word(register.offset + 4 * i) for i in range(register.bits // 32)]
        return sum(word << 32 * i for i, word in enumerate(words))

    # Runs

    def use_memory(self, data: NDArray[np.uint8], base: int = ABOVE_4G) -> None:
        """Put the window's bytes at `base`."""
        self.memory.data, self.memory.base = data.copy(), base
        self.dut.window.value = base
        self.dut.window_bytes.value = data.size

    async def launch(self, program: int, words: int | None = None) -> None:
        """Set the arguments and start."""
        for port in range(PORTS):
            await self.write(f"mem{port}", self.memory.base + port * self.memory.stride)
        await self.write("window_words", self.memory.data.size // 16 if words is None else words)
        await self.write("program", program)
        await self.write("gie", 1)
        await self.write("ier", 1)
        await self.write("ap_ctrl", AP_START)

    async def finish(self, most_cycles: int = 200_000) -> Status:
        """Wait for the interrupt; the status."""
        if not self.dut.irq.value:
            late = Timer(most_cycles * PERIOD, "ns")
            if await First(RisingEdge(self.dut.irq), late) is late:
                raise HungError(f"no interrupt within {most_cycles} cycles")
        await ClockCycles(self.dut.ap_clk, 1)
        control = await self.read("ap_ctrl")
        assert control & AP_DONE, f"an interrupt, but ap_ctrl is {control:#x}"
        await self.write("isr", 1)
        assert not self.dut.irq.value, "the interrupt stays high after it was cleared"
        return Status(await self.read("status"))

    async def run(self, program: int, most_cycles: int = 200_000) -> Status:
        """Start and wait."""
        await self.launch(program)
        return await self.finish(most_cycles)

    async def cycles(self) -> int:
        """Of the last run, counted by the accelerator."""
        return await self.read("cycles_low") | await self.read("cycles_high") << 32

    def kernel_words(self) -> list[int]:
        """Words that the kernel behind the shell says it moved in its last run: read by port, then written by port."""
        counts = np.zeros(COUNTS + 2 * PORTS, np.uint64)
        # Loaded already: this is the library that the simulation uses.
        ctypes.CDLL(os.environ["PEELVIT_KERNEL"]).peelvit_counts(ctypes.c_void_p(counts.ctypes.data))
        return [int(count) for count in counts[COUNTS:]]

    # Verdict

    def breaches(self) -> list[str]:
        """Rules that were broken since the last reset."""
        bits = int(self.dut.breaches.value)
        places = (divmod(bit, len(RULES)) for bit in range(PORTS * len(RULES)) if bits >> bit & 1)
        return [f"port {port}: {RULES[rule].text}" for port, rule in places]

    def check(self) -> None:
        """Fail when a rule was broken; keep what was covered."""
        self.keep_coverage()
        assert not self.breaches(), self.breaches()

    def keep_coverage(self) -> None:
        """Write the checkers' counts, which go on over resets and tests, beside the results."""
        counts = []
        for port in range(PORTS):
            seen = getattr(self.dut, f"checker{port}").seen
            counts.append([int(seen[i].value) for i in range(len(BINS))])
        (FOLDER / f"coverage.{os.environ.get('PEELVIT_BENCH_NAME', 'bench')}.json").write_text(json.dumps(counts))
