"""Contiguous memory (CMA): buffers at physical addresses, of which there is an end."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from sim.board.cache import CachedMemory

PAGE = 4096
DEFAULT_SIZE = 512 << 20
DEFAULT_BASE = 0x8_4000_0000
"""Above 4 GiB, where a truncated address shows."""


class OutOfMemoryError(Exception):
    """No free range is long enough."""


class Buffer:
    """One allocation."""

    def __init__(self, address: int, size: int) -> None:
        self.address, self.size = address, size
        self.memory = CachedMemory(size)

    @property
    def span(self) -> int:
        """Bytes taken, whole pages."""
        return -(-self.size // PAGE) * PAGE


class ContiguousMemory:
    """First fit in whole pages, with a page between buffers, so that nobody takes two for one."""

    def __init__(self, size: int = DEFAULT_SIZE, base: int = DEFAULT_BASE) -> None:
        self.size, self.base = size, base
        self._buffers: dict[str, Buffer] = {}
        self._names = map(str, itertools.count(1))

    @property
    def free(self) -> int:
        """Bytes that no buffer takes."""
        return self.size - sum(buffer.span for buffer in self._buffers.values())

    def allocate(self, size: int) -> str:
        """A new buffer's name."""
        address = self._place(-(-size // PAGE) * PAGE)
        name = next(self._names)
        self._buffers[name] = Buffer(address, size)
        return name

    def release(self, name: str) -> None:
        """Give a buffer back; `KeyError` when there is none of that name."""
        del self._buffers[name]

    def buffer(self, name: str) -> Buffer:
        """The buffer; `KeyError` when there is none of that name."""
        return self._buffers[name]

    def ddr(self, address: int, size: int) -> NDArray[np.uint8] | None:
        """DDR at a physical address; None unless one buffer holds all of it."""
        for buffer in self._buffers.values():
            start = address - buffer.address
            if start >= 0 and start + size <= buffer.size:
                return buffer.memory.ddr[start : start + size]
        return None

    def _place(self, span: int) -> int:
        address = self.base
        for buffer in sorted(self._buffers.values(), key=lambda buffer: buffer.address):
            if buffer.address - address >= span + PAGE:
                break
            address = buffer.address + buffer.span + PAGE
        if span > self.free or address + span > self.base + self.size:
            raise OutOfMemoryError(f"{span} bytes of contiguous memory are not there, {self.free} are free")
        return address
