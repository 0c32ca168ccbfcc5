"""All checks in order."""

from __future__ import annotations

from collections.abc import Callable

from host.doctor import board, fabric, machine, memory
from host.doctor.findings import Finding, Verdict, is_fit
from host.doctor.site import Site

ANYWHERE = (machine.versions, machine.root, machine.xrt, machine.disk, machine.deployment, fabric.bitstream)
"""Checks that need no board."""

ON_THE_BOARD = (memory.contiguous_memory, memory.high_memory, board.rails)


def examine(site: Site, selftest: Callable[[], None] | None = None) -> list[Finding]:
    """Everything that can be looked at; without an answer from the board, what does not need one.

    `selftest` loads the bitstream and runs programs, `PeelVitError` saying what fails; the clock and ECC's counts are
    looked at behind it, as a training run would find them.
    """
    findings = [check(site) for check in ANYWHERE]
    for reach in (board.connection, board.board):
        findings.append(reach(site))
        if findings[-1].verdict is Verdict.FAIL:
            return findings
    findings += [check(site) for check in ON_THE_BOARD]
    runs = selftest if is_fit(findings) else None
    findings.append(fabric.accelerator(site, runs))
    return [*findings, fabric.clock(site, loaded=runs is not None), memory.flipped_bits(site)]
