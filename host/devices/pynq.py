"""The board as a device: pynq loads the bitstream, allocates memory and reaches the registers, here or elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hls.spec import system
from hls.spec.config import HardwareConfig
from hls.spec.formats import WORD_BYTES
from hls.spec.status import Status
from host.board.accelerator import Accelerator, HangError, InterruptPause, Pause, pause
from host.board.link import CALL_SECONDS, connect, explained, files_of, is_remote, pynq_module
from host.board.overlay import find_bitfile, load_overlay
from host.board.window import Window, sync_for
from host.board_files import read_number, read_text
from host.device import NO_COUNTERS, Counters, RunResult, nothing
from host.errors import PeelVitError
from host.memory import megabytes

RUN_SECONDS = 600.0
"""What a run may take unless told otherwise: long, as a virtual board simulates."""

_ANSWER_SECONDS = 10.0
_UNCORRECTED = "/sys/devices/system/edac/mc/mc0/ue_count"


class PynqDevice:
    """An accelerator of `config` on a board.

    Arguments:
        bitfile: bitstream, its `.hwh` beside it; by default the one that was deployed or built.
        board: `ADDRESS` or `ADDRESS:PORT` of a board elsewhere; by default this machine.
        platform: name that the board must have.
        clk_mhz: clock of the fabric; by default what the bitstream was timed for.
        timeout: seconds that a run may take.
        interrupts: wait for interrupts instead of polling.
        device: pynq's device, when it is there already.

    `PeelVitError` says what is wrong with the board, its connection, its bitstream or its clock.
    """

    def __init__(
        self,
        config: HardwareConfig,
        *,
        bitfile: Path | None = None,
        board: str | None = None,
        platform: str | None = None,
        clk_mhz: float | None = None,
        timeout: float | None = None,
        interrupts: bool = False,
        device: Any = None,
    ) -> None:
        self.config = config
        self._where = f"the board at {board}" if board else "the board"
        self._timeout = RUN_SECONDS if timeout is None else timeout
        self._device = device or connect(board, min(self._timeout, CALL_SECONDS))
        self._bitfile, self._clk_mhz = bitfile or find_bitfile(config), clk_mhz
        self._buffer: Any = None
        self._window: Window | None = None
        self._hung = False
        with explained(self._where):
            self._check_platform(platform)
            self.files = files_of(self._device)
            """The board's files, such as sysfs entries."""
            self._flaws = read_number(self.files, _UNCORRECTED)
            fabric = load_overlay(self._device, self._bitfile, config, clk_mhz)
            self.clock_mhz = fabric.clock_mhz
            self._pause = self._waiting(interrupts)
            self._accelerator = Accelerator(fabric, self._pause)
            self._check_hash()

    def allocate(self, words: int) -> None:
        """See `host.device.Device`. Refused before it is tried when contiguous memory does not suffice."""
        self._free()
        size = words * WORD_BYTES
        with explained(self._where):
            self._check_contiguous_memory(size)
            self._buffer = self._device.allocate((max(size, WORD_BYTES),), np.uint8, cacheable=1)
            if getattr(self._buffer, "buffer_id", True) == "":  # pynq does not look at the server's answer
                self._buffer = None
                raise PeelVitError(f"{self._where} has no {megabytes(size)} of contiguous memory in one piece")
            address = int(self._buffer.physical_address)
            if address % WORD_BYTES:
                raise PeelVitError(f"{self._where} gave memory at {address:#x}, which no word of the ports begins at")
            self._window = Window(self._buffer.view(np.ndarray), sync_for(self._device, self._buffer))
            self._accelerator.set_window(address, words)
        self._words = words

    def write(self, address: int, data: npt.NDArray[np.generic]) -> None:
        """See `host.device.Device`."""
        flat = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        padding = -flat.size % WORD_BYTES
        if padding:
            flat = np.concatenate([flat, np.zeros(padding, np.uint8)])
        window = self._inside(address, flat.size, "write")
        with explained(self._where):
            window.write(address * WORD_BYTES, flat)

    def read(self, address: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
        """See `host.device.Device`."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        window = self._inside(address, size, "read")
        with explained(self._where):
            content = window.read(address * WORD_BYTES, address * WORD_BYTES + size)
            self._check_memory_errors()
        return content.view(dtype).reshape(shape)

    def run(self, program: int) -> RunResult:
        """See `host.device.Device`. Cycles are counted by the timer beside the accelerator."""
        return self.run_beside(program, nothing)

    def run_beside(self, program: int, work: Callable[[], None]) -> RunResult:
        """See `host.device.Overlapping`. What `work` writes is flushed meanwhile, so it must fill cache lines."""
        window = self._inside(0, 0, "run")
        overlaps = window.takes_ranges  # else a flush would write over what the program makes

        def meanwhile() -> None:
            work()
            window.publish()

        with explained(self._where):
            window.publish()
            try:
                report = self._accelerator.run(program, self._timeout, meanwhile if overlaps else nothing)
            except HangError:
                self._hung = True
                raise
            window.expire()
            self._check_memory_errors()
        if not overlaps:
            work()
        try:
            status = Status(report.status)
        except ValueError:
            raise PeelVitError(
                f"the accelerator reports the status {report.status}, which this version does not know; "
                "use the bitstream that belongs to it"
            ) from None
        return RunResult(status, report.failed_instruction, report.cycles)

    def counters(self) -> Counters:
        """See `host.device.Device`: the board counts nothing but cycles."""
        return NO_COUNTERS

    def close(self) -> None:
        """See `host.device.Device`. An accelerator that hangs is stopped before its memory is given back."""
        with suppress(PeelVitError), explained(self._where):
            if self._hung:
                load_overlay(self._device, self._bitfile, self.config, self._clk_mhz)
                self._hung = False
        self._free()
        if isinstance(self._pause, InterruptPause):
            self._pause.close()
            self._pause = pause

    def _free(self) -> None:
        """Free the buffer. (`close` of pynq's buffers does nothing.)"""
        buffer, self._buffer, self._window = self._buffer, None, None
        if buffer is not None:
            with suppress(PeelVitError), explained(self._where):
                buffer.freebuffer()

    def _inside(self, address: int, size: int, what: str) -> Window:
        """The window, unless words outside it are named."""
        if self._window is None:
            raise PeelVitError("the device has no memory yet; allocate some")
        start = address * WORD_BYTES
        if start < 0 or start + size > self._words * WORD_BYTES:
            raise PeelVitError(f"a {what} of {size} bytes at word {address} leaves the window; allocate a larger one")
        return self._window

    def _waiting(self, interrupts: bool) -> Pause:
        if not interrupts:
            return pause
        if is_remote(self._device):
            raise PeelVitError("interrupts do not come over a connection; leave out --interrupts")
        return InterruptPause(pynq_module(), f"{system.KERNEL.name}/interrupt")

    def _check_platform(self, platform: str | None) -> None:
        name = getattr(self._device, "name", None)
        if platform is not None and name is not None and platform.lower() != str(name).lower():
            raise PeelVitError(f"--platform is {platform} but the board is a {name}; leave it out or name that one")

    def _check_hash(self) -> None:
        found = self._accelerator.hash(_ANSWER_SECONDS)
        if found != self.config.hash:
            raise PeelVitError(
                f"the accelerator in the fabric has the hash {found:016x}, not {self.config.hash:016x} of "
                f"{self.config.name}; load the bitstream of that configuration with the .hwh beside it, or name "
                "another with --config"
            )

    def _check_contiguous_memory(self, size: int) -> None:
        free = _contiguous_free(read_text(self.files, "/proc/meminfo") or "")
        if free is not None and size > free:
            raise PeelVitError(
                f"the model needs {megabytes(size)} of contiguous memory but {megabytes(free)} are free on the board; "
                "use a smaller micro-batch, end what else holds memory there, or boot with a larger cma="
            )

    def _check_memory_errors(self) -> None:
        """Stop when the memory's error correction has given up since this device was opened."""
        if self._flaws is None:
            return
        flaws = read_number(self.files, _UNCORRECTED)
        if flaws != self._flaws:
            self._flaws = flaws
            raise PeelVitError(
                "the board's memory had an error that ECC could not correct, so results are lost; "
                "go on from the last checkpoint with --resume"
            )


def _contiguous_free(meminfo: str) -> int | None:
    """Bytes of contiguous memory that are free by /proc/meminfo; None where it does not say."""
    for line in meminfo.splitlines():
        name, _, rest = line.partition(":")
        if name == "CmaFree":
            return int(rest.split()[0]) << 10
    return None
