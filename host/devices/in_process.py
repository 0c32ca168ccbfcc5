"""The memory of a device that runs in this process: an array of bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hls.spec.formats import WORD_BYTES
from host.errors import PeelVitError


class InProcessMemory:
    """What devices in this process have in common: `allocate`, `write` and `read` of `host.device.Device`."""

    def __init__(self) -> None:
        self._window: npt.NDArray[np.uint8] = np.zeros(0, np.uint8)

    def allocate(self, words: int) -> None:
        """See `host.device.Device`. The window starts at a multiple of 16 bytes."""
        try:
            raw = np.zeros((words + 1) * WORD_BYTES, np.uint8)
        except MemoryError:
            size = words * WORD_BYTES >> 20
            raise PeelVitError(
                f"this machine has no {size} MiB for the simulated board's memory; use a smaller batch"
            ) from None
        start = -raw.ctypes.data % WORD_BYTES
        self._window = raw[start : start + words * WORD_BYTES]

    def write(self, address: int, data: npt.NDArray[np.generic]) -> None:
        """See `host.device.Device`; `PeelVitError` outside of the window."""
        flat = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        start, end = address * WORD_BYTES, address * WORD_BYTES + flat.size
        padded = -(-end // WORD_BYTES) * WORD_BYTES
        if start < 0 or padded > self._window.size:
            raise PeelVitError(
                f"a write to words {address} to {padded // WORD_BYTES} leaves the window; allocate a larger one"
            )
        self._window[start:end] = flat
        self._window[end:padded] = 0

    def read(self, address: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
        """See `host.device.Device`; `PeelVitError` outside of the window."""
        start = address * WORD_BYTES
        end = start + int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if start < 0 or end > self._window.size:
            raise PeelVitError(
                f"a read of {end - start} bytes at word {address} leaves the window; allocate a larger one"
            )
        return self._window[start:end].view(dtype).reshape(shape).copy()

    def close(self) -> None:
        """See `host.device.Device`."""
        self._window = np.zeros(0, np.uint8)
