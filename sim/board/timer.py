"""The timer beside the accelerator (axi_timer, 64 bits cascaded): it counts the fabric's clock.

Here time passes in runs only, so what it counts between two reads are the cycles of the runs in between.
"""

from __future__ import annotations

from collections.abc import Callable

_ENABLE, _LOAD = 1 << 7, 1 << 5
_TCSR0, _TLR0, _TCR0, _TCSR1, _TLR1, _TCR1 = 0x00, 0x04, 0x08, 0x10, 0x14, 0x18
_WORD = 0xFFFF_FFFF


class Timer:
    """Registers over a clock that `cycles` tells."""

    def __init__(self, cycles: Callable[[], int]) -> None:
        self._cycles = cycles
        self._words = {_TCSR0: 0, _TLR0: 0, _TCSR1: 0, _TLR1: 0}
        self._count, self._since = 0, 0

    def read(self, offset: int) -> int:
        """The register at byte `offset`."""
        if offset in (_TCR0, _TCR1):
            return self._now() >> (32 if offset == _TCR1 else 0) & _WORD
        return self._words.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Set the register at byte `offset`."""
        self._count, self._since = self._now(), self._cycles()
        self._words[offset] = value
        if offset == _TCSR0 and value & _LOAD:
            self._count = self._words[_TLR1] << 32 | self._words[_TLR0]

    def _now(self) -> int:
        running = self._words[_TCSR0] & _ENABLE
        return self._count + (self._cycles() - self._since if running else 0)
