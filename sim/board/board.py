"""The virtual ZCU102: contiguous memory, clocks, files, and the accelerator that a bitstream puts into the fabric."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from hls.spec import system
from hls.spec.config import HardwareConfig
from hls.spec.formats import WORD_BYTES
from hls.spec.status import Status
from sim.board.accelerator import Accelerator
from sim.board.bitstream import read_binary
from sim.board.clocks import CRF_APB, CRL_APB, Clocks
from sim.board.faults import Fault, Faults
from sim.board.kernel import Kernel, KernelResult, open_kernel
from sim.board.memory import DEFAULT_BASE, DEFAULT_SIZE, ContiguousMemory
from sim.board.rails import read_sensor
from sim.board.timer import Timer

_MANAGER = "/sys/class/fpga_manager/fpga0"
_FIRMWARE = "/lib/firmware/"
_HWMON = re.compile(r"/sys/class/hwmon/hwmon(\d+)/(\w+)")
_EDAC = "/sys/devices/system/edac/mc/mc0"
_PORT_WIDTHS = (0xFD36_0000, 0xFD37_0000, 0xFD38_0000, 0xFD39_0000, 0xFD3A_0000, 0xFD3B_0000, 0xFF9B_0000,
                0xFD61_5000, 0xFF41_9000)  # fmt: skip
"""Pages of registers that set the width of ports: they hold what is written."""

_STALE_BYTES = 8
_NO_CMA = 4 << 20


class BusError(Exception):
    """No register answers at an address: a real board's server would die of it."""


@dataclass(frozen=True)
class BoardOptions:
    """How a board is built: kernel behind the registers, memory, faults, and pace (the switches of `Accelerator`)."""

    kernel: str = "csim"
    cma_bytes: int = DEFAULT_SIZE
    cma_base: int = DEFAULT_BASE
    real_time: bool = False
    blocking: bool = False
    seed: int = 0
    faults: Iterable[Fault] = ()


class Board:
    """Everything of a board but its connection. `on_fault` is told of those that concern it."""

    def __init__(self, options: BoardOptions | None = None) -> None:
        self.options = options or BoardOptions()
        self.faults = Faults(self.options.faults)
        size = _NO_CMA if self.faults.lasts("no-cma") else self.options.cma_bytes
        self.memory = ContiguousMemory(size, self.options.cma_base)
        self.clocks = Clocks(locked=self.faults.lasts("wrong-clock"))
        self.accelerator: Accelerator | None = None
        self.on_fault: Callable[[str], None] = lambda _: None
        self.runs = 0
        """Programs run since the board was started."""
        self._timer: Timer | None = None
        self._kernels: dict[HardwareConfig, Kernel] = {}
        self._words: dict[int, int] = {}
        self._written: dict[str, bytes] = {}
        self._manager = "operating"
        self._errors = {"ue_count": 0, "ce_count": 0}
        self._random = np.random.default_rng(self.options.seed)
        self._run_lock = threading.Lock()

    def use(self, kernel: Kernel) -> None:
        """Take this kernel for bitstreams of its configuration."""
        self._kernels[kernel.config] = kernel

    # Registers

    def read_word(self, address: int) -> int:
        """The 32-bit register at a physical address; `BusError` when nothing is there."""
        page = address & ~0xFFF
        if page in (CRL_APB, CRF_APB):
            return self.clocks.read(address)
        if page in _PORT_WIDTHS:
            return self._words.get(address, 0)
        block, offset = self._fabric(address)
        if block is system.KERNEL:
            return self._loaded().read(offset)
        if block is system.TIMER and self._timer is not None:
            return self._timer.read(offset)
        if block is system.PROVENANCE:
            return self._loaded().config.hash & 0xFFFF_FFFF if offset == 8 else 0
        return self._words.get(address, 0)

    def write_word(self, address: int, value: int) -> None:
        """Set the 32-bit register at a physical address; `BusError` when nothing is there."""
        page = address & ~0xFFF
        if page in (CRL_APB, CRF_APB):
            return self.clocks.write(address, value)
        if page in _PORT_WIDTHS:
            self._words[address] = value
            return None
        block, offset = self._fabric(address)
        if block is system.KERNEL:
            return self._loaded().write(offset, value)
        if block is system.TIMER and self._timer is not None:
            return self._timer.write(offset, value)
        self._words[address] = value
        return None

    def _fabric(self, address: int) -> tuple[system.Block, int]:
        for block in system.BLOCKS:
            if self.accelerator is not None and block.offset <= address < block.offset + block.bytes:
                return block, address - block.offset
        raise BusError(f"no register answers at address {address:#x}")

    def _loaded(self) -> Accelerator:
        if self.accelerator is None:
            raise BusError("no bitstream is loaded")
        return self.accelerator

    # Runs

    def _start(self, accelerator: Accelerator, registers: Mapping[str, int]) -> KernelResult | None:
        kernel = self._kernels[accelerator.config]
        size = registers["window_words"] * WORD_BYTES
        if not size:  # refused before any access to memory: how the host asks for the hash
            return kernel.run(registers, np.zeros(0, np.uint8))
        with self._run_lock:
            self.runs += 1
            kinds = self.faults.of_run(self.runs)
            for kind in kinds & {"connection-loss", "no-answer"}:
                self.on_fault(kind)
            if "hang" in kinds:
                return None
            address, *others = {registers[port.argument] for port in system.MEMORY_PORTS}
            window = self.memory.ddr(address, size)
            if others or window is None:
                return KernelResult(Status.BUS_DECODE_ERROR, 0, kernel.config.hash, 0)
            result = kernel.run(registers, window, _bus_fault(kinds))
            if "bit-flip" in kinds:
                window[self._random.integers(size)] ^= np.uint8(1 << self._random.integers(8))
                self._errors["ue_count"] += 1
            if "bit-flip-corrected" in kinds:
                self._errors["ce_count"] += 1
            return result

    def _load(self, name: str) -> None:
        """Put the bitstream in a firmware file into the fabric."""
        config = read_binary(self._written.get(_FIRMWARE + name, b""))
        if config is None:
            self.accelerator, self._manager = None, "write error"
            return
        if config not in self._kernels:
            self._kernels[config] = open_kernel(self.options.kernel, config)
        self.accelerator = Accelerator(
            config,
            lambda registers: self._start(self._loaded(), registers),
            self.clocks.fabric_mhz,
            real_time=self.options.real_time,
            blocking=self.options.blocking,
            offset_error=_STALE_BYTES if self.faults.lasts("stale-hwh") else 0,
        )
        self._timer = Timer(self.accelerator)
        self._manager = "operating"

    # Files

    def read_file(self, path: str) -> bytes | None:
        """The content of a file; None when there is none."""
        sensor = _HWMON.fullmatch(path)
        if sensor:
            busy = self.accelerator is not None and self.accelerator.busy
            return read_sensor(int(sensor[1]), sensor[2], busy)
        if path.startswith(_EDAC) and not self.faults.lasts("no-ecc"):
            count = self._errors.get(path.removeprefix(_EDAC + "/"))
            return None if count is None else f"{count}\n".encode()
        return self._system_files().get(path, self._written.get(path))

    def write_file(self, path: str, content: bytes) -> None:
        """Replace a file; a name written to the FPGA manager loads that bitstream."""
        self._written[path] = content
        if path == f"{_MANAGER}/firmware":
            self._load(content.decode().strip())

    def _system_files(self) -> dict[str, bytes]:
        kib = {"MemTotal": 4 << 20, "CmaTotal": self.memory.size >> 10, "CmaFree": max(0, self.memory.free) >> 10}
        return {
            "/proc/version": b"Linux version 6.6.40-xilinx (virtual ZCU102) (aarch64-xilinx-linux-gcc) aarch64\n",
            "/proc/device-tree/chosen/pynq_board": b"ZCU102\0",
            "/proc/meminfo": "".join(f"{name + ':':16}{value:8} kB\n" for name, value in kib.items()).encode(),
            f"{_MANAGER}/state": f"{self._manager}\n".encode(),
            f"{_MANAGER}/flags": self._written.get(f"{_MANAGER}/flags", b"0"),
        }


def _bus_fault(kinds: set[str]) -> Status | None:
    if "axi-slverr" in kinds:
        return Status.BUS_SLAVE_ERROR
    return Status.BUS_DECODE_ERROR if "axi-decerr" in kinds else None
