"""Checks of the board and the way to it."""

from __future__ import annotations

import time

from host.board_files import read_text
from host.doctor.findings import Finding, fail, ok, skip, warn
from host.doctor.site import Site
from host.power.rails import RAILS, find_rails, missing_sentence

_READS, _CALLS_A_READ = 20, 2
_SLOW_SECONDS = 0.002
_PART = "ZCU102"


def connection(site: Site) -> Finding:
    """Whether a board elsewhere answers, and how fast."""
    check = "connection"
    if site.address is None:
        return skip(check, "this machine is the board")
    if site.files.read("/proc/version") is None:
        cure = "switch the board on, see to its network, and start pynq's remote server there (docs/board.md)"
        return fail(check, f"no PYNQ.remote server answers at {site.address}", cure)
    seconds = min(_read_seconds(site) for _ in range(_READS)) / _CALLS_A_READ  # the best: machines have other work
    text = f"{site.address} answers a call in {seconds * 1e3:.1f} ms"
    if seconds > _SLOW_SECONDS:
        return warn(check, text, "use a cable of 1 Gbit/s without a hop, or run the host program on the board")
    return ok(check, text)


def _read_seconds(site: Site) -> float:
    begin = time.perf_counter()
    site.files.read("/proc/version")
    return time.perf_counter() - begin


def board(site: Site) -> Finding:
    """Which board it is."""
    check = "board"
    name = read_text(site.files, "/proc/device-tree/chosen/pynq_board")
    model = name or read_text(site.files, "/proc/device-tree/model")
    if not site.is_board:
        cure = "run it on the board, or give --board ADDRESS"
        return fail(check, f"this is no Zynq UltraScale+ board ({model or 'no device tree'})", cure)
    if _PART not in (model or "").upper():
        cure = f"use a configuration and a bitstream made for it; {_PART}'s do not fit"
        return warn(check, f"this is a {model or 'board without a name'}, not a {_PART}", cure)
    return ok(check, f"{model}, {(read_text(site.files, '/proc/version') or 'Linux').split(' (')[0]}")


def rails(site: Site) -> Finding:
    """The power monitors that --power reads."""
    check = "power rails"
    found = find_rails(site.files)
    missing = missing_sentence(found)
    if missing is not None:
        text, _, cure = missing.partition("; ")
        return warn(check, text, cure or "enable its monitor in the device tree (docs/board.md)")
    silent = [rail.name for rail in found if rail.watts(site.files) is None]
    if silent:
        return warn(
            check, f"{', '.join(silent)} do not answer", "look into the board's power-management bus with i2cdetect"
        )
    watts = sum(rail.watts(site.files) or 0.0 for rail in found)
    return ok(check, f"all {len(RAILS)} rails answer, together {watts:.2f} W now")
