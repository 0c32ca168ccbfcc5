"""The golden model: the same bits, without a notion of time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hls.spec.config import HardwareConfig
from hls.spec.formats import WORD_BYTES
from hls.spec.status import Status
from sim.board.kernel import Kernel, KernelResult, torn
from sim.golden.device import GoldenDevice


class _GoldenKernel:
    def __init__(self, config: HardwareConfig) -> None:
        self.config = config
        self._device = GoldenDevice(config)

    def run(self, registers: Mapping[str, int], memory: NDArray[np.uint8], fault: Status | None = None) -> KernelResult:
        """See `sim.board.kernel.Kernel`."""
        before = memory.copy()
        self._device.allocate(memory.size // WORD_BYTES)
        self._device.write(0, memory)
        result = self._device.run(registers["program"])
        memory[:] = self._device.read(0, memory.shape, np.uint8)
        if fault:
            torn(before, memory)
        return KernelResult(fault or result.status, result.failed_instruction, self.config.hash, result.cycles)


def open_kernel(config: HardwareConfig) -> Kernel:
    """The golden model of `config`."""
    return _GoldenKernel(config)
