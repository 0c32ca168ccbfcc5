"""What computes behind the virtual board's registers: the C simulation, the golden model, or another simulation.

A kernel is one file: `sim/board/kernels/NAME.py` with a function `open_kernel(config)`. The board gives it the input
registers and the bytes of DDR memory that they name, and shows what it returns in the output registers.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hls.spec.config import HardwareConfig
from hls.spec.status import Status
from host.errors import PeelVitError


@dataclass(frozen=True)
class KernelResult:
    """The output registers after a run; `cycles` are modelled, or counted where the kernel is RTL."""

    status: Status
    failed_instruction: int
    hash: int
    cycles: int


class Kernel(Protocol):
    """One accelerator of `config`."""

    config: HardwareConfig

    def run(self, registers: Mapping[str, int], memory: NDArray[np.uint8], fault: Status | None = None) -> KernelResult:
        """Run from ap_start to ap_done.

        Arguments:
            registers: all input registers of `hls.spec.registers` by name (64-bit ones whole).
            memory: the window, `16 * window_words` bytes of DDR from address `mem0`, changed in place. It starts at a
                multiple of 16 bytes in this process too.
            fault: `BUS_SLAVE_ERROR` or `BUS_DECODE_ERROR` when one of the run's accesses shall be answered so.
        """


def kernel_names() -> tuple[str, ...]:
    """The kernels there are."""
    return tuple(sorted(path.stem for path in (Path(__file__).parent / "kernels").glob("[a-z]*.py")))


def open_kernel(name: str, config: HardwareConfig) -> Kernel:
    """The kernel `name`, built when it has to be; `PeelVitError` when there is none."""
    if name not in kernel_names():
        raise PeelVitError(f"there is no kernel {name}; choose {', '.join(kernel_names())}")
    kernel: Kernel = importlib.import_module(f"sim.board.kernels.{name}").open_kernel(config)
    return kernel


def torn(before: NDArray[np.uint8], memory: NDArray[np.uint8]) -> None:
    """What a bus error in the middle of a run leaves: here the upper half of `memory` as it was before."""
    half = memory.size // 2
    memory[half:] = before[half:]
