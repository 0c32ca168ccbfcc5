"""The kernels' own C++, with modelled cycles."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hls.spec.config import HardwareConfig
from hls.spec.status import Status
from host.devices.csim import CsimDevice
from sim.board.kernel import Kernel, KernelResult, torn
from sim.csim.build import build


class _Simulation(CsimDevice):
    """The C simulation on memory that is not its own."""

    def use(self, memory: NDArray[np.uint8]) -> None:
        self._window = memory


class _CsimKernel:
    def __init__(self, config: HardwareConfig) -> None:
        build(config, "fast")
        self.config = config
        self._simulation = _Simulation(config, "fast")

    def run(self, registers: Mapping[str, int], memory: NDArray[np.uint8], fault: Status | None = None) -> KernelResult:
        """See `sim.board.kernel.Kernel`."""
        before = memory.copy() if fault else memory
        self._simulation.use(memory)
        result = self._simulation.run(registers["program"])
        if fault:
            torn(before, memory)
        return KernelResult(fault or result.status, result.failed_instruction, self.config.hash, result.cycles)


def open_kernel(config: HardwareConfig) -> Kernel:
    """The C simulation of `config`."""
    return _CsimKernel(config)
