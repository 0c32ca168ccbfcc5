"""The whole examination: a sound board is fit, faults are found, and it ends where it must."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host.doctor.examination import examine
from host.doctor.findings import Finding, Verdict, as_json, as_text, is_fit, ok, warn
from sim.board.bitstream import write_bitstream
from tests.host.doctor.sites import CONFIG, site_of, write_board


def by_check(findings: list[Finding]) -> dict[str, Verdict]:
    return {finding.check: finding.verdict for finding in findings}


def test_a_sound_board_is_fit(tmp_path: Path) -> None:
    write_board(tmp_path)
    bitfile = write_bitstream(CONFIG, tmp_path / "peelvit.bit")
    findings = examine(site_of(tmp_path, bitfile=bitfile), lambda: None)
    skipped = {"connection", "files"}
    assert {f.check for f in findings if f.verdict is not Verdict.OK} == skipped, as_text(findings)
    assert as_text(findings).endswith("fit to train: 12 ok, 2 skip")


def test_a_workstation_is_no_board(tmp_path: Path) -> None:
    findings = examine(site_of(tmp_path))
    assert (findings[-1].check, findings[-1].verdict) == ("board", Verdict.FAIL)
    assert not is_fit(findings)


def test_another_board_is_told(tmp_path: Path) -> None:
    write_board(tmp_path)
    (tmp_path / "proc/device-tree/chosen/pynq_board").write_text("ZCU104\0")
    assert by_check(examine(site_of(tmp_path)))["board"] is Verdict.WARN


def test_programs_are_not_run_on_what_fails_already(tmp_path: Path) -> None:
    write_board(tmp_path)
    bitfile = write_bitstream(CONFIG, tmp_path / "peelvit.bit")
    findings = examine(site_of(tmp_path, bitfile=bitfile, user=1000), lambda: pytest.fail("it ran"))
    assert by_check(findings)["accelerator"] is Verdict.SKIP


def test_findings_for_people_and_for_programs() -> None:
    findings = [ok("a", "fine"), warn("longer", "odd", "wait")]
    assert as_text(findings).splitlines() == [
        "ok    a       fine", "warn  longer  odd", "              -> wait", "fit to train: 1 ok, 1 warn",
    ]  # fmt: skip
    assert json.loads(as_json(findings)) == {
        "fit": True,
        "findings": [
            {"check": "a", "verdict": "ok", "text": "fine", "cure": ""},
            {"check": "longer", "verdict": "warn", "text": "odd", "cure": "wait"},
        ],
    }
