"""The AXI-true shell: every byte over simulated buses, cycles counted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hls.spec.config import HardwareConfig
from hls.spec.status import Status
from sim.board.kernel import Kernel, KernelResult
from sim.rtl.shell.simulation import Shell

RESPONSES = {Status.BUS_SLAVE_ERROR: 2, Status.BUS_DECODE_ERROR: 3}
REFUSED = 40
"""Which burst of a run with a fault is refused."""


class _RtlKernel:
    def __init__(self, config: HardwareConfig) -> None:
        self.config = config
        self._shell = Shell(config)

    def run(self, registers: Mapping[str, int], memory: NDArray[np.uint8], fault: Status | None = None) -> KernelResult:
        """See `sim.board.kernel.Kernel`."""
        shell = self._shell
        shell.set_memory(memory, registers["mem0"])
        if fault:
            shell.fail(REFUSED, RESPONSES[fault])
        shell.run(registers["program"], registers["mem0"])
        shell.check()
        low, high = (shell.read(f"cycles_{half}") for half in ("low", "high"))
        hash_low, hash_high = (shell.read(f"hash_{half}") for half in ("low", "high"))
        status = Status(shell.read("status"))
        return KernelResult(status, shell.read("failed_instruction"), hash_high << 32 | hash_low, high << 32 | low)


def open_kernel(config: HardwareConfig) -> Kernel:
    """The verilated shell of `config`, built when it has to be."""
    return _RtlKernel(config)
