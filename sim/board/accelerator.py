"""The accelerator as the processor sees it: registers, the handshake ap_ctrl_hs and the interrupt line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from hls.spec.config import HardwareConfig
from hls.spec.registers import AP_DONE, AP_IDLE, AP_READY, AP_START, BY_NAME, REGISTERS, Direction
from sim.board.kernel import KernelResult

Start = Callable[[Mapping[str, int]], KernelResult | None]
"""Runs a program for the input registers by name; None when it never ends."""

_INPUTS = [register for register in REGISTERS if register.direction is Direction.INPUT]
_CTRL, _GIE, _IER, _ISR = (BY_NAME[name].offset for name in ("ap_ctrl", "gie", "ier", "isr"))
_WORD = 0xFFFF_FFFF


class Accelerator:
    """The registers of one loaded bitstream.

    `clock_mhz` tells the fabric's clock. With `real_time` a run takes as long as its cycles would; otherwise as long as
    its simulation. With `blocking` a start returns when the run is done, in the caller's thread. `offset_error` moves
    all registers behind the control registers: what a host sees with the `.hwh` of another build.
    """

    def __init__(
        self,
        config: HardwareConfig,
        start: Start,
        clock_mhz: Callable[[], float],
        *,
        real_time: bool = False,
        blocking: bool = False,
        offset_error: int = 0,
    ) -> None:
        self.config = config
        self.cycles = 0
        """Clock cycles that all runs took: what the timer counts."""
        self.cycles_at_interrupt = 0
        """Those when the interrupt line last rose."""
        self.kernel_seconds = 0.0
        """Wall time in the kernel."""
        self.runs = 0
        self._start, self._clock_mhz = start, clock_mhz
        self._real_time, self._blocking, self._offset_error = real_time, blocking, offset_error
        self._words: dict[int, int] = {}
        self._state = AP_IDLE
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether a program runs."""
        return not self._state & AP_IDLE

    @property
    def interrupt(self) -> bool:
        """The interrupt line."""
        return bool(self._words.get(_GIE, 0) & 1 and self._words.get(_ISR, 0))

    def read(self, offset: int) -> int:
        """The register at byte `offset`; reading the control register clears its done bit."""
        with self._lock:
            if offset == _CTRL:
                state = self._state
                self._state &= ~(AP_DONE | AP_READY)
                return state
            return self._words.get(self._inside(offset), 0)

    def write(self, offset: int, value: int) -> None:
        """Set the register at byte `offset`; outputs cannot be written, a start in a run is lost."""
        with self._lock:
            if offset == _ISR:
                self._words[_ISR] = self._words.get(_ISR, 0) ^ value
            elif offset != _CTRL:
                self._words[self._inside(offset)] = value & _WORD
            starts = offset == _CTRL and bool(value & AP_START) and not self.busy
            if starts:
                self._state = AP_START
        if starts and self._blocking:
            self._run()
        elif starts:
            threading.Thread(target=self._run, daemon=True, name="accelerator").start()

    def _inside(self, offset: int) -> int:
        return offset + self._offset_error if offset > _ISR else offset

    def _run(self) -> None:
        begin = time.perf_counter()
        result = self._start({r.name: self._value(r.offset, r.bits) for r in _INPUTS})
        if result is None:
            return  # hangs until the bitstream is loaded again
        elapsed = time.perf_counter() - begin
        modelled = result.cycles / (self._clock_mhz() * 1e6)
        if self._real_time and modelled > elapsed:
            time.sleep(modelled - elapsed)
        with self._lock:
            self.kernel_seconds += elapsed
            self.cycles += result.cycles
            self.runs += 1
            self._show(result)

    def _value(self, offset: int, bits: int) -> int:
        low = self._words.get(offset, 0)
        return low if bits == 32 else low | self._words.get(offset + 4, 0) << 32

    def _show(self, result: KernelResult) -> None:
        outputs = {
            "status": int(result.status),
            "failed_instruction": result.failed_instruction,
            "hash_low": result.hash & _WORD,
            "hash_high": result.hash >> 32,
            "cycles_low": result.cycles & _WORD,
            "cycles_high": result.cycles >> 32,
        }
        for name, value in outputs.items():
            self._words[BY_NAME[name].offset] = value
        before = self.interrupt
        self._words[_ISR] = self._words.get(_ISR, 0) | (self._words.get(_IER, 0) & 0b11)
        if self.interrupt and not before:
            self.cycles_at_interrupt = self.cycles
        self._state = AP_IDLE | AP_DONE | AP_READY
