"""The C simulation as a device: the kernels' own C++, in this process, through ctypes."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np

from hls.spec.config import HardwareConfig
from hls.spec.formats import WORD_BYTES
from hls.spec.status import Status
from host.device import KINDS, STREAMS, Counters, RunResult
from host.devices.in_process import InProcessMemory
from host.errors import PeelVitError

BUILD = Path(__file__).resolve().parents[2] / "build"


def _declare(library: ctypes.CDLL) -> None:
    """Types of what `sim/csim/api.cpp` offers; `AttributeError` for a library that lacks any of it."""
    library.peelvit_run.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p]
    library.peelvit_run.restype = None
    library.peelvit_rows_wait.argtypes = [ctypes.c_int]
    library.peelvit_rows_wait.restype = None
    library.peelvit_executed.restype = ctypes.c_uint32
    library.peelvit_trace.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.peelvit_trace.restype = None
    library.peelvit_hidden.argtypes = [ctypes.c_uint32]
    library.peelvit_hidden.restype = ctypes.c_uint64
    library.peelvit_bound.argtypes = [ctypes.c_uint32]
    library.peelvit_bound.restype = ctypes.c_char_p


def _load(path: Path, config: HardwareConfig) -> ctypes.CDLL:
    if not path.is_file():
        raise PeelVitError(f"the C simulation {path} does not exist; run `make csim CONFIG={config.name}`")
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise PeelVitError(f"the C simulation {path} cannot be loaded ({error}); run `make clean csim`") from None
    try:
        _declare(library)
    except AttributeError:
        raise PeelVitError(
            f"the C simulation {path} was built from other sources; run `make csim CONFIG={config.name}`"
        ) from None
    return library


class CsimDevice(InProcessMemory):
    """`variant` is a variant of `sim.csim.build`: fast, fidelity or sanitized.

    With `rows_wait`, modelled cycles assume that every row of a nest of loops waits for the memory's latency.
    """

    def __init__(self, config: HardwareConfig, variant: str = "fast", rows_wait: bool = False) -> None:
        super().__init__()
        self.config = config
        self.rows_wait = rows_wait
        self._library = _load(BUILD / config.name / f"libpeelvit_{variant}.so", config)

    def run(self, program: int) -> RunResult:
        """See `host.device.Device`. Refuses a library that was built for another configuration."""
        result = np.zeros(4, np.uint32)
        cycles = np.zeros(1, np.uint64)
        words = self._window.size // WORD_BYTES
        self._library.peelvit_rows_wait(self.rows_wait)
        self._library.peelvit_run(self._window.ctypes.data, words, program, result.ctypes.data, cycles.ctypes.data)
        if int(result[2]) | int(result[3]) << 32 != self.config.hash:
            raise PeelVitError(
                f"the C simulation was built for another configuration than {self.config.name}; run `make csim`"
            )
        return RunResult(Status(int(result[0])), int(result[1]), int(cycles[0]))

    def counters(self) -> Counters:
        """See `host.device.Device`."""
        count = int(self._library.peelvit_executed())
        cycles, words = np.zeros((count, len(KINDS)), np.uint64), np.zeros((count, STREAMS), np.uint32)
        self._library.peelvit_trace(cycles.ctypes.data, words.ctypes.data)
        calls = [self._library.peelvit_bound(index).decode() for index in range(count)]
        bounds = tuple(call.partition("(")[0] for call in calls)
        hidden = np.array([self._library.peelvit_hidden(index) for index in range(count)], np.int64)
        return Counters(cycles.astype(np.int64), words.astype(np.int64), bounds, hidden)
