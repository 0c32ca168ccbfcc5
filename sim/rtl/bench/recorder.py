"""The golden model, noting every start with the window before and after it, and the C simulation's cycles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hls.spec.config import HardwareConfig
from hls.spec.formats import WORD_BYTES
from host.device import RunResult
from host.devices.csim import CsimDevice
from sim.csim import build
from sim.golden.device import GoldenDevice
from sim.rtl.bench.recorded import Recorded


class Recorder(GoldenDevice):
    """`starts` holds what ran, in order."""

    def __init__(self, config: HardwareConfig) -> None:
        super().__init__(config)
        build(config)
        self.starts: list[Recorded] = []
        self._csim = CsimDevice(config)

    def run(self, program: int) -> RunResult:
        """See `host.device.Device`."""
        before = self._window()
        result = super().run(program)
        self._csim.allocate(self._memory.words)
        self._csim.write(0, before)
        modelled = self._csim.run(program).cycles
        self.starts.append(Recorded(before, self._window(), program, modelled, result.failed_instruction))
        return result

    def _window(self) -> NDArray[np.uint8]:
        return self.read(0, (self._memory.words * WORD_BYTES,), np.uint8).astype(np.uint8, copy=False)
