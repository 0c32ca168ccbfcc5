"""What the virtual board can be told to do wrong: `KIND`, or `KIND@N` for the N-th run of a program.

Kinds that happen at a run happen once; the others last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from host.errors import PeelVitError

AT_A_RUN = {
    "axi-slverr": "a memory port gets SLVERR in the run: half of its results are there, status says so",
    "axi-decerr": "the same with DECERR",
    "hang": "the run never ends; loading the bitstream again cures it",
    "bit-flip": "a bit of the run's window flips behind it; ECC counts it as not correctable",
    "bit-flip-corrected": "ECC corrects the bit and counts it: nothing is lost",
    "connection-loss": "the board's server goes away in the middle of the run and comes back after half a second",
    "no-answer": "the board stops answering in the middle of the run, without closing the connection, for five seconds",
}
LASTING = {
    "slow-link": "every call takes 2 ms more and data 20 MB/s",
    "stale-hwh": "the bitstream on the board has other register offsets than the .hwh beside the file",
    "wrong-clock": "the fabric runs at 300 MHz whatever the dividers are told",
    "no-cma": "4 MiB of contiguous memory are left",
    "no-ranges": "the server transfers whole buffers only, as pynq's own calls do: start and end are ignored",
    "no-ecc": "the memory has no ECC, so nobody counts flipped bits",
}
KINDS = AT_A_RUN | LASTING


@dataclass(frozen=True)
class Fault:
    """A kind and, where it happens at a run, which: counted from 1 since the board was started."""

    kind: str
    run: int = 1


def parse_fault(text: str) -> Fault:
    """A fault from `KIND` or `KIND@N`; `PeelVitError` says what is wrong."""
    kind, at, run = text.partition("@")
    if kind not in KINDS:
        raise PeelVitError(f"there is no fault {kind}; choose {', '.join(sorted(KINDS))}")
    if not at:
        return Fault(kind)
    if kind in LASTING:
        raise PeelVitError(f"the fault {kind} lasts; leave out @{run}")
    if not run.isdecimal() or int(run) < 1:
        raise PeelVitError(f"--fault {text}: give the number of a run after @, from 1")
    return Fault(kind, int(run))


class Faults:
    """Those switched on, and what they do now."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lasting = {fault.kind for fault in faults if fault.kind in LASTING}
        self._pending = [fault for fault in faults if fault.kind in AT_A_RUN]

    def lasts(self, kind: str) -> bool:
        """Whether a lasting fault is switched on."""
        return kind in self._lasting

    def of_run(self, number: int) -> set[str]:
        """Kinds that happen in run `number`; they will not happen again."""
        due = [fault for fault in self._pending if fault.run == number]
        self._pending = [fault for fault in self._pending if fault.run != number]
        return {fault.kind for fault in due}
