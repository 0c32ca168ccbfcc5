"""The C simulation in a window between two guard zones, where a stray write shows."""

from __future__ import annotations

import ctypes

import numpy as np

from hls.spec.config import HardwareConfig
from hls.spec.formats import WORD_BYTES
from host.device import RunResult
from host.devices.csim import CsimDevice

GUARD_BYTES = 1 << 16


class EscapeError(Exception):
    """A program wrote outside its window."""


class GuardedDevice(CsimDevice):
    """A C simulation whose window lies between guard zones; `run` raises `EscapeError` when one was written.

    Under the address sanitizer the zones are poisoned during a run, so that a read outside the window ends the
    process, too.
    """

    def __init__(self, config: HardwareConfig, variant: str = "fast") -> None:
        super().__init__(config, variant)
        self._pattern = np.random.default_rng(0).integers(0, 256, GUARD_BYTES, np.uint8)
        self._guards = (np.zeros(0, np.uint8),) * 2
        self._sanitizer = _sanitizer()

    def allocate(self, words: int) -> None:
        """See `host.device.Device`."""
        size = words * WORD_BYTES
        raw = np.zeros(2 * GUARD_BYTES + size + WORD_BYTES, np.uint8)
        start = -raw.ctypes.data % WORD_BYTES + GUARD_BYTES
        self._window = raw[start : start + size]
        self._guards = (raw[start - GUARD_BYTES : start], raw[start + size : start + size + GUARD_BYTES])
        for guard in self._guards:
            guard[:] = self._pattern

    def run(self, program: int) -> RunResult:
        """See `host.device.Device`."""
        self._call("__asan_poison_memory_region")
        try:
            result = super().run(program)
        finally:
            self._call("__asan_unpoison_memory_region")
        for place, guard in zip(("before", "behind"), self._guards, strict=True):
            if not np.array_equal(guard, self._pattern):
                byte = int(np.flatnonzero(guard != self._pattern)[0])
                raise EscapeError(f"byte {byte} of the guard {place} the window was written")
        return result

    def _call(self, function: str) -> None:
        if self._sanitizer is not None:
            for guard in self._guards:
                getattr(self._sanitizer, function)(ctypes.c_void_p(guard.ctypes.data), ctypes.c_size_t(guard.size))


def _sanitizer() -> ctypes.CDLL | None:
    """This process, when the address sanitizer was loaded into it."""
    process = ctypes.CDLL(None)
    return process if hasattr(process, "__asan_poison_memory_region") else None
