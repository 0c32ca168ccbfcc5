"""The command line of the doctor."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hls.spec.config import HardwareConfig
from host.backends import load_config
from host.board.overlay import find_bitfile
from host.board_files import LocalFiles, RemoteFiles
from host.doctor.examination import examine
from host.doctor.findings import as_json, as_text, is_fit
from host.doctor.registers import LocalRegisters, RemoteRegisters
from host.doctor.site import Site
from host.errors import EXIT_OK, PeelVitError
from host.options import Options
from host.selftest import selftest

EXIT_UNFIT = 1

TIMEOUT = 20.0
"""Seconds that each of the selftest's programs may take: they are tiny."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the doctor's options."""
    parser.add_argument("--board", metavar="ADDRESS[:PORT]", help="a board elsewhere; default: this machine")
    parser.add_argument("--config", default="zcu102", help="hardware configuration; default zcu102")
    parser.add_argument("--bitfile", type=Path, help="bitstream, with its .hwh beside it; default: as training has it")
    parser.add_argument("--no-run", action="store_true", help="look only: load no bitstream and run no programs")
    parser.add_argument("--json", action="store_true", help="print JSON")


def doctor(options: argparse.Namespace) -> int:
    """Examine, print, and give the exit code: 1 when something fails."""
    site = site_of(options)
    findings = examine(site, None if options.no_run else selftest_of(options, site))
    print(as_json(findings) if options.json else as_text(findings))
    return EXIT_OK if is_fit(findings) else EXIT_UNFIT


def site_of(options: argparse.Namespace) -> Site:
    """Where the checks look."""
    config = load_config(options.config)
    bitfile = options.bitfile or _found(config)
    if options.board is None:
        return Site(config, LocalFiles(), LocalRegisters(), None, bitfile)
    files = RemoteFiles(options.board)
    return Site(config, files, RemoteRegisters(files.channel), options.board, bitfile)


def _found(config: HardwareConfig) -> Path | None:
    """The bitstream that training would load."""
    try:
        return find_bitfile(config)
    except PeelVitError:
        return None


def selftest_of(options: argparse.Namespace, site: Site) -> Callable[[], None] | None:
    """The programs that the examination runs; None without a bitstream."""
    if site.bitfile is None:
        return None
    return partial(
        selftest,
        Options(
            mode="selftest",
            backend="pynq",
            config=options.config,
            board=options.board,
            bitfile=site.bitfile,
            timeout=TIMEOUT,
        ),
    )
