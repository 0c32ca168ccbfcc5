"""Compiled programs: each made once, kept in memory while there is room, and run with errors in words."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np

from hls.spec.formats import WORD_BYTES
from hls.spec.status import SENTENCES, Status
from host.compiler import Program
from host.device import Device, nothing, run_beside
from host.errors import PeelVitError
from host.memory import Region


class ProgramStore:
    """Programs by key: compiled at first use, written to `region` when needed, and overwritten when it is full."""

    def __init__(self, device: Device, region: Region) -> None:
        self._device, self._region = device, region
        self._programs: dict[Hashable, Program] = {}
        self._addresses: dict[Hashable, int] = {}
        self._free = region.address

    def run(self, key: Hashable, compile_it: Callable[[], Program], work: Callable[[], None] = nothing) -> int:
        """Run the program `key`, with `work` beside it; its clock cycles. `PeelVitError` when the device refuses it."""
        if key not in self._programs:
            self._programs[key] = compile_it()
        program = self._programs[key]
        result = run_beside(self._device, self._address(key, program), work)
        if result.status is not Status.OK:
            where = f"instruction {result.failed_instruction} ({program.name_of(result.failed_instruction)})"
            raise PeelVitError(f"the device stopped at {where}: {SENTENCES[result.status]}")
        return result.cycles

    def _address(self, key: Hashable, program: Program) -> int:
        if key not in self._addresses:
            self._addresses[key] = self._write(program)
        return self._addresses[key]

    def _write(self, program: Program) -> int:
        words, end = len(program.data) // WORD_BYTES, self._region.address + self._region.words
        if self._free + words > end:
            self._addresses.clear()
            self._free = self._region.address
        if self._free + words > end:
            raise ValueError(f"a program of {words} words is longer than the program region")
        address, self._free = self._free, self._free + words
        self._device.write(address, np.frombuffer(program.data, np.uint8))
        return address
