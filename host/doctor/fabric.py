"""Checks of the bitstream, its clock, and of the accelerator itself."""

from __future__ import annotations

import contextlib
import datetime
import io
from collections.abc import Callable

from hls.spec.registers import REGISTERS
from hls.spec.system import KERNEL
from host.deployment import provenance
from host.doctor.findings import Finding, fail, failed_by, ok, skip, warn
from host.doctor.handoff import bit_time, read_handoff
from host.doctor.site import Site
from host.errors import PeelVitError

NO_BITSTREAM = "there is no bitstream; make one with `make hw`, or name one with --bitfile"

_NOT_SYNTHESISED = {"cycles_low", "cycles_high"}
"""Counted by the system's timer instead."""

_CRL_APB = 0xFF5E_0000
_PL0_CTRL = _CRL_APB + 0xC0
_PLLS = {0: _CRL_APB + 0x20, 2: _CRL_APB + 0x30, 3: 0xFD1A_0000 + 0x2C}
"""Control registers of the PLLs by source number: IO, R and DDR PLL."""

_REFERENCE_MHZ = 100 / 3
_CLOCK_TOLERANCE = 1.001


def bitstream(site: Site) -> Finding:
    """`.bit` and `.hwh`: both there, of one build, of this register map, and of this configuration."""
    check = "bitstream"
    if site.bitfile is None:
        return fail(check, *_halves(NO_BITSTREAM))
    handoff_path = site.bitfile.with_suffix(".hwh")
    try:
        made, handoff = bit_time(site.bitfile), read_handoff(handoff_path)
    except PeelVitError as error:
        return failed_by(check, error)
    copy_again = "copy .bit and .hwh of the same build, which `make hw` leaves beside each other"
    wrong = _misplaced(set(handoff.registers.values()))
    if wrong:
        return fail(
            check, f"{handoff_path} has no register at {wrong[0]:#x}: it is of another register map", copy_again
        )
    if handoff.address != KERNEL.offset:
        return fail(
            check, f"{handoff_path} has the accelerator at {handoff.address:#x}, not {KERNEL.offset:#x}", copy_again
        )
    stated = provenance(site.bitfile.parent).get("config_hash")
    if stated not in (None, f"{site.config.hash:016x}"):
        cure = f"use --config {provenance(site.bitfile.parent).get('config')}, or make the bitstream anew"
        return fail(
            check, f"{site.bitfile} was built for hash {stated}, {site.config.name} has {site.config.hash:016x}", cure
        )
    if made and handoff.made and handoff.made > made:
        return warn(check, f"{handoff_path} was generated at {handoff.made}, after the bitstream of {made}", copy_again)
    return ok(check, f"{site.bitfile}, written {_age(made)}, timed for {handoff.clock_mhz:.1f} MHz")


def _misplaced(found: set[int]) -> list[int]:
    registers = [register for register in REGISTERS if register.name not in _NOT_SYNTHESISED]
    offsets = {r.offset + part for r in registers for part in range(0, r.bits // 8, 4)}
    return sorted(offsets - found)


def _age(made: datetime.datetime | None) -> str:
    return (
        "at an unknown time" if made is None else f"{made:%Y-%m-%d} ({(datetime.datetime.now() - made).days} days ago)"
    )


def _halves(sentence: str) -> tuple[str, str]:
    text, _, cure = sentence.partition("; ")
    return text, cure


def clock(site: Site, loaded: bool) -> Finding:
    """The clock of the fabric as its registers say, against what the design was timed for.

    Before the bitstream is `loaded` it is whatever the board was booted with, and training sets it.
    """
    check = "clock"
    mhz = fabric_mhz(site)
    if mhz is None:
        return skip(check, "the clock's registers cannot be read")
    timed = float(site.config.clock_mhz)
    if site.bitfile is not None:
        with contextlib.suppress(PeelVitError):
            timed = read_handoff(site.bitfile.with_suffix(".hwh")).clock_mhz or timed
    text = f"the fabric runs at {mhz:.2f} MHz, the design was timed for {timed:.2f} MHz"
    if mhz > timed * _CLOCK_TOLERANCE and not loaded:
        return warn(check, text, "nothing: training sets it before it loads the bitstream, and reads it back")
    if mhz > timed * _CLOCK_TOLERANCE:
        cure = f"pynq may have divided another PLL than the clock's: update pynq, boot again, then --clk-mhz {timed:g}"
        return fail(check, text, cure)
    if loaded and mhz < timed * 0.9:
        return warn(check, text, f"use --clk-mhz {timed:g}, or leave it out")
    return ok(check, text)


def fabric_mhz(site: Site) -> float | None:
    """MHz of PL clock 0, from the PLL that it really divides."""
    word = site.registers.read(_PL0_CTRL)
    source = site.registers.read(_PLLS[word & 7]) if word is not None and word & 7 in _PLLS else None
    if word is None or source is None:
        return None
    dividers = (word >> 8 & 0x3F) * (word >> 16 & 0x3F)
    pll = _REFERENCE_MHZ * (source >> 8 & 0x7F) / (2 if source >> 16 & 1 else 1)
    return pll / dividers if dividers else None


def accelerator(site: Site, selftest: Callable[[], None] | None) -> Finding:
    """The bitstream loaded, its configuration's hash, and small programs whose results are known."""
    check = "accelerator"
    if selftest is None:
        return skip(check, "not tried, because something above it fails or it was not asked for")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            selftest()
    except PeelVitError as error:
        return failed_by(check, error)
    return ok(check, f"it has the hash of {site.config.name}, {site.config.hash:016x}, and computes as it should")
