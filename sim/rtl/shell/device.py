"""The simulated shell as a `host.device.Device`: the host's programs on true AXI."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hls.spec.config import HardwareConfig
from hls.spec.formats import WORD_BYTES
from hls.spec.status import Status
from host.device import KINDS, Counters, RunResult
from host.errors import PeelVitError
from sim.rtl.shell.simulation import Shell, Timing

BASE = 0x8_0000_0000
"""Byte address of the window: DDR above 4 GiB."""


class ShellDevice:
    """Runs programs on the verilated shell; `cycles` are counted, and the rules of AXI are checked after every run.

    Arguments:
        base: byte address of the window that the masters see.
        timing: of the memory; as the configuration states it when left out.
        most_cycles: a run that takes longer has hung, and is ended by a reset with a `PeelVitError`.
    """

    def __init__(
        self, config: HardwareConfig, base: int = BASE, timing: Timing | None = None, most_cycles: int = 1 << 40
    ) -> None:
        self.config, self.base, self.most_cycles = config, base, most_cycles
        self.shell = Shell(config, timing=timing)
        self._window = np.zeros(0, np.uint8)

    def allocate(self, words: int) -> None:
        """See `host.device.Device`."""
        self._window = np.zeros(words * WORD_BYTES, np.uint8)
        self.shell.set_memory(self._window, self.base)

    def write(self, address: int, data: npt.NDArray[np.generic]) -> None:
        """See `host.device.Device`."""
        flat = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        start, end = address * WORD_BYTES, address * WORD_BYTES + flat.size
        padded = -(-end // WORD_BYTES) * WORD_BYTES
        if start < 0 or padded > self._window.size:
            raise PeelVitError(f"a write of {flat.size} bytes at word {address} leaves the window")
        self._window[start:end] = flat
        self._window[end:padded] = 0

    def read(self, address: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
        """See `host.device.Device`."""
        start = address * WORD_BYTES
        end = start + int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if start < 0 or end > self._window.size:
            raise PeelVitError(f"a read of {end - start} bytes at word {address} leaves the window")
        return self._window[start:end].view(dtype).reshape(shape).copy()

    def run(self, program: int) -> RunResult:
        """See `host.device.Device`."""
        if not self.shell.run(program, self.base, self.most_cycles):
            self.shell.reset()
            raise PeelVitError(f"the simulated accelerator did not end within {self.most_cycles} cycles; it was reset")
        self.shell.check()
        read = self.shell.read
        if read("hash_low") | read("hash_high") << 32 != self.config.hash:
            raise PeelVitError(f"the shell was built for another configuration than {self.config.name}; build it again")
        cycles = read("cycles_low") | read("cycles_high") << 32
        return RunResult(Status(read("status")), read("failed_instruction"), cycles)

    def counters(self) -> Counters:
        """Nothing: hardware does not count by instruction."""
        return Counters(np.zeros((0, len(KINDS)), np.int64), np.zeros((0, 6), np.int64))

    def close(self) -> None:
        """See `host.device.Device`."""
        self.shell.close()
        self._window = np.zeros(0, np.uint8)
