"""The doctor over pynq's remote protocol: a sound virtual board is fit, and each fault is found by the right check."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from hls.spec.config import load
from host.doctor import command
from host.doctor.examination import examine
from host.doctor.findings import Finding, Verdict, as_text, is_fit
from host.selftest import selftest
from sim.board.bitstream import write_bitstream
from sim.board.board import Board, BoardOptions
from sim.board.faults import KINDS, parse_fault
from sim.board.server import BoardServer
from sim.csim import build

ROOT = Path(__file__).resolve().parents[3]

FOUND = {
    "axi-slverr@3": ("accelerator", Verdict.FAIL, "BUS_SLAVE_ERROR"),
    "axi-decerr@3": ("accelerator", Verdict.FAIL, "BUS_DECODE_ERROR"),
    "hang@3": ("accelerator", Verdict.FAIL, "did not finish within"),
    "bit-flip@3": ("ECC", Verdict.FAIL, "1 flipped bits were not corrected"),
    "bit-flip-corrected@3": ("ECC", Verdict.WARN, "1 flipped bits were corrected"),
    "connection-loss@3": ("accelerator", Verdict.FAIL, "connection to the board"),
    "no-answer@3": ("accelerator", Verdict.FAIL, "does not answer any more"),
    "slow-link": ("connection", Verdict.WARN, "answers a call in"),
    "stale-hwh": ("accelerator", Verdict.FAIL, "has the hash"),
    "wrong-clock": ("clock", Verdict.FAIL, "runs at 300"),
    "no-cma": ("CMA", Verdict.FAIL, "4.0 MiB are free"),
    "no-ecc": ("ECC", Verdict.WARN, "nobody counts"),
}
"""Of each fault: the check that finds it, how bad it is, and words of what it says."""

HARMLESS = {"no-ranges"}
"""Costs time only: the host finds it out by itself and transfers whole buffers."""


@pytest.fixture(scope="module")
def bitfile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build(load("toy"), "fast")  # or the board's first answer would wait for the compiler
    return write_bitstream(load("toy"), tmp_path_factory.mktemp("bitstream") / "toy.bit")


@pytest.fixture
def diagnose(bitfile: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Finding]]:
    monkeypatch.setattr(command, "TIMEOUT", 4.0)  # more than a program takes on a busy machine

    def run(*faults: str) -> dict[str, Finding]:
        board = Board(BoardOptions(faults=tuple(map(parse_fault, faults))))
        with closing(BoardServer(board)) as server:
            options = argparse.Namespace(board=server.address, config="toy", bitfile=bitfile, no_run=False, json=False)
            site = command.site_of(options)
            findings = examine(site, command.selftest_of(options, site))
        return {finding.check: finding for finding in findings}

    return run


def test_every_fault_is_found_or_harmless() -> None:
    assert {text.partition("@")[0] for text in FOUND} | HARMLESS == set(KINDS)


@pytest.mark.parametrize("fault", [(), *((kind,) for kind in HARMLESS)], ids=str)
def test_a_sound_board_is_fit(diagnose: Callable[..., dict[str, Finding]], fault: tuple[str, ...]) -> None:
    findings = diagnose(*fault)
    assert {f.verdict for f in findings.values()} == {Verdict.OK, Verdict.SKIP}, as_text(list(findings.values()))
    assert findings["accelerator"].verdict is Verdict.OK


@pytest.mark.parametrize("fault", FOUND)
def test_a_fault_is_found_by_the_right_check(diagnose: Callable[..., dict[str, Finding]], fault: str) -> None:
    check, verdict, words = FOUND[fault]
    findings = diagnose(fault)
    assert findings[check].verdict is verdict, as_text(list(findings.values()))
    assert words in findings[check].text
    assert findings[check].cure
    assert is_fit(findings.values()) == (verdict is Verdict.WARN)


def test_the_command_line_for_programs(bitfile: Path, tmp_path: Path) -> None:
    with closing(BoardServer(Board(BoardOptions(faults=(parse_fault("no-cma"),))))) as server:
        arguments = ["--board", server.address, "--config", "toy", "--bitfile", str(bitfile), "--json"]
        run = subprocess.run(
            [sys.executable, "-m", "host", "doctor", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
    assert run.returncode == 1, run.stderr
    report = json.loads(run.stdout)
    assert not report["fit"]
    assert {f["verdict"] for f in report["findings"] if f["check"] == "CMA"} == {"fail"}


def test_no_board_at_an_address(bitfile: Path) -> None:
    options = argparse.Namespace(board="127.0.0.1:9", config="toy", bitfile=bitfile, no_run=False, json=False)
    site = command.site_of(options)
    findings = examine(site, partial(selftest))
    assert (findings[-1].check, findings[-1].verdict) == ("connection", Verdict.FAIL)
