"""DDR memory behind the processor's cache, as non-coherent ports see it.

The accelerator reads and writes DDR. The processor reads and writes through a cache that nothing keeps coherent: what
was written and not flushed is not in DDR, what the accelerator wrote is not seen where the cache holds an older line.
Lines never leave this cache by themselves, so that a forgotten flush or invalidate always shows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from host.board.ranges import Range, Ranges

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
        self._held, self._dirty = Ranges(), Ranges()

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
        for lines in (self._held, self._dirty):
            lines.add(*_lines(start, stop))

    def flush(self) -> None:
        """Write all dirty lines to DDR."""
        for first, last in self._dirty:
            self.ddr[first:last] = self._cache[first:last]
        self._dirty.clear()

    def invalidate(self) -> None:
        """Forget all lines; what was dirty is lost."""
        self._held.clear()
        self._dirty.clear()

    def _fill(self, start: int, stop: int) -> None:
        """Bring the lines of a range into the cache, but for those that it holds."""
        lines = _lines(start, stop)
        for first, last in self._held.missing(*lines):
            self._cache[first:last] = self.ddr[first:last]
        self._held.add(*lines)


def _lines(start: int, stop: int) -> Range:
    """The bytes of the lines in which a range lies."""
    return start // LINE * LINE, -(-stop // LINE) * LINE
