"""The simulated shell in this process: registers, memory, clock (ctypes on harness.cpp)."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hls.spec.config import HardwareConfig
from hls.spec.registers import BY_NAME
from hls.spec.system import MEMORY_PORTS
from host.errors import PeelVitError
from sim.rtl.shell.build import kernel_library, shell_library
from sim.rtl.shell.watched import PORTS, RULES

COUNTS = 5
"""Numbers of `peelvit_counts` before those of the streams."""


@dataclass(frozen=True)
class Timing:
    """What the memory behind the masters takes: latencies in cycles, words moved in a thousand cycles by all ports, and
    in how many of a thousand cycles a channel stalls for no reason."""

    read_latency: int
    write_latency: int
    words_per_thousand: int
    stalls_per_thousand: int = 0
    seed: int = 1


@dataclass(frozen=True)
class Traffic:
    """Since the simulation began."""

    cycles: int
    bursts: int
    bytes: int


@dataclass(frozen=True)
class Schedule:
    """Of the last run: modelled cycles, and what the kernel's look-aheads met (bus.hpp)."""

    modelled: int
    lookaheads: int
    mispredicted: int
    """Loops whose addresses depended on words that they read themselves."""
    held: int
    """Loops whose reads waited for writes under way to the same words."""
    hazards: int
    """Words read in the loop that had written them before, which hardware would read as they were."""
    words: tuple[int, ...]
    """Moved, as the kernel counts them: read by port, then written by port."""


class Shell:
    """One simulated accelerator. The kernel runs behind its true AXI ports; nothing else reaches the memory."""

    def __init__(self, config: HardwareConfig, kernel: str = "kernel", timing: Timing | None = None) -> None:
        self.config = config
        library = ctypes.CDLL(str(shell_library(config)))
        pointer, u32, u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
        for name, result, arguments in (
            ("open", pointer, [ctypes.c_char_p]),
            ("close", None, [pointer]),
            ("memory", None, [pointer, pointer, u64, u64]),
            ("timing", None, [pointer, u32, u32, u32, u32, u32]),
            ("fault", None, [pointer, u64, u32, ctypes.c_int]),
            ("reset", None, [pointer]),
            ("write", None, [pointer, u32, u32]),
            ("read", u32, [pointer, u32]),
            ("clock", ctypes.c_int, [pointer, u64]),
            ("counts", None, [pointer, pointer]),
            ("breaches", None, [pointer, pointer]),
        ):
            function = getattr(library, f"shell_{name}")
            function.restype, function.argtypes = result, arguments
        self._library = library
        self._handle: int | None = library.shell_open(str(kernel_library(config, kernel)).encode())
        self._memory = np.zeros(0, np.uint8)
        self.set_timing(timing or modelled_timing(config))

    def set_memory(self, memory: npt.NDArray[np.uint8], base: int) -> None:
        """The bytes that the masters see from byte address `base` on; they are changed in place."""
        self._memory = memory
        self._library.shell_memory(self._handle, memory.ctypes.data, base, memory.size)

    def set_timing(self, timing: Timing) -> None:
        """Change the memory's speed."""
        self._library.shell_timing(
            self._handle, timing.read_latency, timing.write_latency, timing.words_per_thousand,
            timing.stalls_per_thousand, timing.seed,
        )  # fmt: skip

    def fail(self, at: int, response: int = 2, hangs: bool = False) -> None:
        """Answer the `at`-th burst from now on (all ports, reads and writes) with `response`, or never."""
        self._library.shell_fault(self._handle, at, response, hangs)

    def reset(self) -> None:
        """Pull the reset line of accelerator and memory."""
        self._library.shell_reset(self._handle)

    def write(self, name: str, value: int) -> None:
        """Write a register, both words of a 64-bit one."""
        register = BY_NAME[name]
        for i in range(register.bits // 32):
            self._library.shell_write(self._handle, register.offset + 4 * i, value >> 32 * i & 0xFFFFFFFF)

    def read(self, name: str) -> int:
        """Read a register."""
        register = BY_NAME[name]
        words = [self._library.shell_read(self._handle, register.offset + 4 * i) for i in range(register.bits // 32)]
        return sum(int(word) << 32 * i for i, word in enumerate(words))

    def clock(self, cycles: int) -> bool:
        """Clock at most so often, until the interrupt line is high; whether it is."""
        return bool(self._library.shell_clock(self._handle, cycles))

    def run(self, program: int, base: int, limit: int = 1 << 40) -> bool:
        """Run the program at word `program` of the memory at byte `base`; false when it did not end in time."""
        for name, value in (
            *((port.argument, base) for port in MEMORY_PORTS),
            ("window_words", self._memory.size // 16),
            ("program", program),
            ("gie", 1),
            ("ier", 1),
            ("ap_ctrl", 1),
        ):
            self.write(name, value)
        ended = self.clock(limit)
        if ended:
            self.write("isr", 1)
        return ended

    def traffic(self) -> Traffic:
        """What moved since the simulation began."""
        counts = np.zeros(3, np.uint64)
        self._library.shell_counts(self._handle, counts.ctypes.data)
        return Traffic(*(int(count) for count in counts))

    def schedule(self) -> Schedule:
        """Of the last run."""
        counts = np.zeros(COUNTS + 2 * PORTS, np.uint64)
        self._library.peelvit_counts(ctypes.c_void_p(counts.ctypes.data))
        modelled, lookaheads, mispredicted, held, hazards, *words = (int(count) for count in counts)
        return Schedule(modelled, lookaheads, mispredicted, held, hazards, tuple(words))

    def breaches(self) -> list[str]:
        """Rules of AXI or of the configuration that were broken."""
        words = np.zeros(-(-PORTS * len(RULES) // 32), np.uint32)
        self._library.shell_breaches(self._handle, words.ctypes.data)
        broken = np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little"))
        places = (divmod(int(bit), len(RULES)) for bit in broken)
        return [f"port {port}: {RULES[rule].text}" for port, rule in places]

    def check(self) -> None:
        """`PeelVitError` when a rule was broken since the last reset."""
        if broken := self.breaches():
            raise PeelVitError(f"the accelerator broke a rule of its memory ports: {broken[0]}")

    def close(self) -> None:
        """End the simulation."""
        if self._handle is not None:
            self._library.shell_close(self._handle)
            self._handle = None


def modelled_timing(config: HardwareConfig) -> Timing:
    """The memory that the configuration states and the cycle model assumes."""
    return Timing(config.read_latency, config.write_latency, config.ddr_words_per_thousand_cycles)
