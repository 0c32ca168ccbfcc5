"""The simulated shell as a `host.device.Device`: the host's programs on true AXI."""

from __future__ import annotations

from hls.spec.config import HardwareConfig
from hls.spec.status import Status
from host.device import NO_COUNTERS, Counters, RunResult
from host.devices.in_process import InProcessMemory
from host.errors import PeelVitError
from sim.rtl.shell.simulation import Shell, Timing

BASE = 0x8_0000_0000
"""Byte address of the window: DDR above 4 GiB."""


class ShellDevice(InProcessMemory):
    """Runs programs on the verilated shell; `cycles` are counted, and the rules of AXI are checked after every run.

    Arguments:
        base: byte address of the window that the masters see.
        timing: of the memory; as the configuration states it when left out.
        most_cycles: a run that takes longer has hung, and is ended by a reset with a `PeelVitError`.
    """

    def __init__(
        self, config: HardwareConfig, base: int = BASE, timing: Timing | None = None, most_cycles: int = 1 << 40
    ) -> None:
        super().__init__()
        self.config, self.base, self.most_cycles = config, base, most_cycles
        self.shell = Shell(config, timing=timing)

    def allocate(self, words: int) -> None:
        """See `host.device.Device`."""
        super().allocate(words)
        self.shell.set_memory(self._window, self.base)

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
        return NO_COUNTERS

    def close(self) -> None:
        """See `host.device.Device`."""
        self.shell.close()
        super().close()
