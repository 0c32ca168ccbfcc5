"""The accelerator through its registers: start, wait, and what it reports."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hls.spec.registers import AP_DONE, AP_IDLE, AP_START
from hls.spec.status import Status
from hls.spec.system import MEMORY_PORTS
from host.board.overlay import Fabric
from host.device import nothing
from host.errors import PeelVitError

_WORD = 0xFFFF_FFFF
_TCSR0, _TLR0, _TCR0, _TCSR1, _TLR1, _TCR1 = 0x00, 0x04, 0x08, 0x10, 0x14, 0x18
_CAPTURE, _CAPTURE_PIN, _OVERWRITE, _LOAD, _ENABLE, _CASCADE = 1 << 0, 1 << 3, 1 << 4, 1 << 5, 1 << 7, 1 << 11

INTERRUPT_SECONDS = 1.0
"""How long to wait for an interrupt before looking at the control register."""

Pause = Callable[[float, float], None]
"""Waits a little, given the seconds since the start and those that the program took last time (0: not known)."""

_SURE, _NEAR = 0.98, 1.02
"""Parts of the last run's time between which the end is looked for closely."""


@dataclass(frozen=True)
class Report:
    """The output registers after a run."""

    status: int
    failed_instruction: int
    cycles: int


class HangError(PeelVitError):
    """The accelerator did not come to its end; only loading the bitstream again helps it."""


def pause(elapsed: float, expected: float) -> None:
    """Sleep through most of a run whose length is known, then look closely; else wait a hundredth of the time so far.

    Polling then costs a tenth of a thousandth of a run, and a hundredth where its length is new.
    """
    if elapsed < _SURE * expected:
        time.sleep(_SURE * expected - elapsed)
    elif elapsed < _NEAR * expected:
        time.sleep(max(expected / 5000, 20e-6))
    else:
        time.sleep(min(max(elapsed / 100, 20e-6), 10e-3))


class Accelerator:
    """The registers of a loaded bitstream. `pause` is what happens between two looks at the control register."""

    def __init__(self, fabric: Fabric, pause: Pause = pause) -> None:
        self._registers, self._mmio, self._timer = fabric.registers, fabric.mmio, fabric.timer
        self._clock_mhz, self._pause = fabric.clock_mhz, pause
        self._took: dict[int, float] = {}  # seconds of the last run by the program's address
        self.write("IP_IER", 1)  # the interrupt at done: the timer captures at it
        self.write("GIER", 1)
        if self._timer is not None:
            self._start_timer()

    def write(self, name: str, value: int) -> None:
        """Set a register. pynq takes plain ints only, and cuts what is longer than 32 bits."""
        self._mmio.write(self._registers[name], int(value) & _WORD)

    def read(self, name: str) -> int:
        """The value of a register."""
        return int(self._mmio.read(self._registers[name]))

    def set_window(self, address: int, words: int) -> None:
        """Register the memory window: a byte address, both words of it for every port, and its size."""
        for port in MEMORY_PORTS:
            self.write(f"{port.argument}_1", address & _WORD)
            self.write(f"{port.argument}_2", address >> 32)
        self.write("window_words", words)

    def hash(self, timeout: float) -> int:
        """The hash of the hardware configuration. It shows after a run, so one is refused: its window is empty."""
        self.set_window(0, 0)
        report = self.run(0, timeout)
        if report.status != Status.PROGRAM_OUTSIDE_WINDOW:
            return 0
        return self.read("hash_low") | self.read("hash_high") << 32

    def run(self, program: int, timeout: float, work: Callable[[], None] = nothing) -> Report:
        """Run the program at word `program` of the window, with `work` beside it.

        `HangError` when it takes longer than `timeout` seconds. When `work` fails the program still comes to its end.
        """
        self.write("program", program)
        before = self._count(_TCR0, _TCR1)
        begin = time.perf_counter()
        self.write("CTRL", AP_START)
        try:
            work()
        finally:
            looks = self._wait(begin, timeout, self._took.pop(program, 0.0))
        elapsed = time.perf_counter() - begin
        if looks > 1:  # else it had ended while the host slept, so its length is not known
            self._took[program] = elapsed
        self.write("IP_ISR", self.read("IP_ISR"))  # writing a one clears it
        cycles = self._count(_TLR0, _TLR1) - before if self._timer is not None else self._cycles(elapsed)
        status = self.read("status")
        return Report(status, self.read("failed_instruction") if status else 0, cycles)

    def _wait(self, begin: float, timeout: float, expected: float) -> int:
        """Wait for the end; how often the program was seen running."""
        looks = 0
        while not self.read("CTRL") & AP_DONE:
            looks += 1
            elapsed = time.perf_counter() - begin
            if elapsed > timeout:
                if self.read("CTRL") & (AP_DONE | AP_IDLE):  # someone else's read has cleared the done bit
                    return looks
                raise HangError(
                    f"the accelerator did not finish within {timeout:g} s; if that is long enough it hangs: go on with "
                    "--resume, which loads the bitstream again, else give a longer --timeout"
                )
            self._pause(elapsed, min(expected, timeout))
        return looks

    def _cycles(self, elapsed: float) -> int:
        """Clock cycles where no timer counts them: by the host's watch, so too many."""
        return round(elapsed * self._clock_mhz * 1e6)

    def _start_timer(self) -> None:
        for register in (_TLR0, _TLR1):
            self._timer.write(register, 0)
        for register in (_TCSR1, _TCSR0):
            self._timer.write(register, _LOAD)
        self._timer.write(_TCSR1, 0)
        self._timer.write(_TCSR0, _CASCADE | _CAPTURE | _CAPTURE_PIN | _OVERWRITE | _ENABLE)

    def _count(self, low: int, high: int) -> int:
        """A 64-bit count from two registers, read again when the low one has wrapped in between."""
        if self._timer is None:
            return 0
        while True:
            upper = int(self._timer.read(high))
            lower = int(self._timer.read(low))
            if int(self._timer.read(high)) == upper:
                return upper << 32 | lower


class InterruptPause:
    """Waits for the interrupt `pin` for up to a second at a time, so that one that was lost does not hang the program.

    pynq watches interrupts in the thread's event loop, which outside notebooks nobody runs: here is one of its own.
    """

    def __init__(self, pynq: Any, pin: str) -> None:
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        try:
            self._interrupt = pynq.Interrupt(pin)
        except (ValueError, RuntimeError, OSError) as error:
            self.close()
            raise PeelVitError(f"the interrupt {pin} cannot be used ({error}); leave out --interrupts") from None

    def __call__(self, elapsed: float, expected: float) -> None:
        """See `Pause`."""
        self._loop.run_until_complete(self._wait())

    async def _wait(self) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._interrupt.wait(), INTERRUPT_SECONDS)

    def close(self) -> None:
        """End the event loop."""
        asyncio.set_event_loop(None)
        self._loop.close()
