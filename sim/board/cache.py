"""DDR memory behind the processor's cache, as non-coherent ports see it.

The accelerator reads and writes DDR. The processor reads and writes through a cache that nothing keeps coherent: what
was written and not flushed is not in DDR, what the accelerator wrote is not seen where the cache holds an older line.
Lines never leave this cache by themselves, so that a forgotten flush or invalidate always shows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LINE = 64
"""Bytes of a cache line."""

Bytes = NDArray[np.uint8]


def aligned_bytes(size: int, value: int) -> Bytes:
    """`size` bytes that begin at a multiple of a line in this process, all `value`."""
    raw = np.full(size + LINE, value, np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start : start + size]


class CachedMemory:
    """`size` bytes of DDR and the processor's view of them. Bytes nobody has written are arbitrary."""

    def __init__(self, size: int) -> None:
        self.size = size
        whole = -(-size // LINE) * LINE
        self.ddr = aligned_bytes(whole, 0xA5)
        self._cache = aligned_bytes(whole, 0x5A)
        self._held = np.zeros(whole // LINE, bool)
        self._dirty = np.zeros(whole // LINE, bool)

    def read(self, start: int, stop: int) -> Bytes:
        """What the processor sees: cached lines, and DDR where none is cached."""
        self._fill(start, stop)
        return self._cache[start:stop]

    def write(self, start: int, data: Bytes) -> None:
        """What the processor writes: into the cache only."""
        stop = start + data.size
        for edge in (start, stop - 1):
            self._fill(edge, edge + 1)
        self._cache[start:stop] = data
        lines = _lines(start, stop)
        self._held[lines] = self._dirty[lines] = True

    def flush(self) -> None:
        """Write all dirty lines to DDR."""
        self._copy(self._cache, self.ddr, self._dirty)
        self._dirty[:] = False

    def invalidate(self) -> None:
        """Forget all lines; what was dirty is lost."""
        self._held[:] = self._dirty[:] = False

    def _fill(self, start: int, stop: int) -> None:
        """Bring the lines of a range into the cache."""
        lines = _lines(start, stop)
        if self._held[lines].all():
            return
        missing = np.zeros_like(self._held)
        missing[lines] = ~self._held[lines]
        self._copy(self.ddr, self._cache, missing)
        self._held[lines] = True

    @staticmethod
    def _copy(source: Bytes, target: Bytes, lines: NDArray[np.bool_]) -> None:
        """Copy whole lines, run by run."""
        edges = np.flatnonzero(np.diff(lines, prepend=False, append=False))
        for first, last in edges.reshape(-1, 2) * LINE:
            target[first:last] = source[first:last]


def _lines(start: int, stop: int) -> slice:
    return slice(start // LINE, -(-stop // LINE))
