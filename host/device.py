"""The device: the few calls through which the runtime, the programs and the tests reach whatever runs a program.

A device owns one memory window of 16-byte words. Addresses count words from its start. Implementations: `host.devices`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from hls.spec.config import HardwareConfig
from hls.spec.status import Status
from hls.spec.system import MEMORY_PORTS


@dataclass(frozen=True)
class RunResult:
    """How a run ended. `failed_instruction` counts from 0 and means something only when `status` is not OK."""

    status: Status
    failed_instruction: int
    cycles: int
    """Clock cycles: modelled on simulations (0 on `golden`, which has no notion of time), counted on a board."""


KINDS = ("compute", "vector", "memory", "stall")
"""What cycles are spent on: the multiply-accumulate array, other pipelined loops, ports and DDR memory; fill, drain and
latencies."""

STREAMS = 2 * len(MEMORY_PORTS)
"""What moves DDR words: reads of each memory port, then writes of each."""


@dataclass(frozen=True)
class Counters:
    """What a simulation knows of the last run; empty arrays where a device cannot tell."""

    instruction_kinds: npt.NDArray[np.int64]
    """[instructions, kinds]: modelled cycles of every executed instruction by what they were spent on (`KINDS`). Of one
    that ran beside others those that they do not hide."""
    instruction_words: npt.NDArray[np.int64]
    """[instructions, streams]: DDR words by stream: read by port 0, 1 and on, then written by port 0, 1 and on."""
    instruction_bounds: tuple[str, ...] = ()
    """[instructions]: what bounded most cycles of an instruction: a task of the kernel, a port, DDR or the fill."""

    instruction_hidden: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """[instructions]: further cycles of it, hidden behind the instructions that ran beside it."""

    @property
    def instruction_alone(self) -> npt.NDArray[np.int64]:
        """[instructions]: modelled cycles that every executed instruction takes by itself."""
        return self.instruction_cycles + self.instruction_hidden

    @property
    def instruction_cycles(self) -> npt.NDArray[np.int64]:
        """[instructions]: modelled cycles of every executed instruction."""
        return self.instruction_kinds.sum(axis=1)


NO_COUNTERS = Counters(np.zeros((0, len(KINDS)), np.int64), np.zeros((0, STREAMS), np.int64))
"""Of a device that cannot tell."""


class Device(Protocol):
    """Where programs run."""

    config: HardwareConfig

    def allocate(self, words: int) -> None:
        """Take a zeroed window of `words` 16-byte words; `PeelVitError` when the memory is not there."""

    def write(self, address: int, data: npt.NDArray[np.generic]) -> None:
        """Copy a C-contiguous array to word `address`; its bytes are padded to a whole word with zeros."""

    def read(self, address: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
        """A copy of the memory at word `address`."""

    def run(self, program: int) -> RunResult:
        """Run the program at word `program` to its end or to the first instruction that is refused."""

    def counters(self) -> Counters:
        """Counters of the last run."""

    def close(self) -> None:
        """Give the window back."""


def nothing() -> None:
    """Work that there is none of."""


@runtime_checkable
class Overlapping(Protocol):
    """A device whose programs run while the host does something else."""

    def run_beside(self, program: int, work: Callable[[], None]) -> RunResult:
        """As `Device.run`; meanwhile `work` is done, which may write what the program neither reads nor writes."""


def run_beside(device: Device, program: int, work: Callable[[], None]) -> RunResult:
    """Run a program and do `work`: beside it where the device can, else behind it."""
    if isinstance(device, Overlapping):
        return device.run_beside(program, work)
    result = device.run(program)
    work()
    return result
