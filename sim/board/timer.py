"""The timer beside the accelerator (axi_timer, 64 bits cascaded): it counts the fabric's clock.

Here time passes in runs only, so what it counts between two reads are the cycles of the runs in between. It captures
its count when the accelerator's interrupt line rises.
"""

from __future__ import annotations

from sim.board.accelerator import Accelerator

_CAPTURE, _LOAD, _ENABLE = 1 << 0, 1 << 5, 1 << 7
_TCSR0, _TLR0, _TCR0, _TCSR1, _TLR1, _TCR1 = 0x00, 0x04, 0x08, 0x10, 0x14, 0x18
_WORD = 0xFFFF_FFFF


class Timer:
    """Its registers."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self._words = {_TCSR0: 0, _TLR0: 0, _TCSR1: 0, _TLR1: 0}
        self._count, self._since = 0, 0

    def read(self, offset: int) -> int:
        """The register at byte `offset`."""
        if offset in (_TCR0, _TCR1):
            return self._half(self._at(self._accelerator.cycles), offset == _TCR1)
        if offset in (_TLR0, _TLR1) and self._words[_TCSR0] & _CAPTURE:
            return self._half(self._at(self._accelerator.cycles_at_interrupt), offset == _TLR1)
        return self._words.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Set the register at byte `offset`."""
        self._count, self._since = self._at(self._accelerator.cycles), self._accelerator.cycles
        self._words[offset] = value
        if offset == _TCSR0 and value & _LOAD:
            self._count = self._words[_TLR1] << 32 | self._words[_TLR0]

    def _at(self, cycles: int) -> int:
        """The count when the runs had taken so many cycles."""
        return self._count + (cycles - self._since if self._words[_TCSR0] & _ENABLE else 0)

    @staticmethod
    def _half(count: int, upper: bool) -> int:
        return count >> (32 if upper else 0) & _WORD
