"""What the machine under the host program lacks is named with its cure."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from host.deployment import write_checksums
from host.doctor import machine
from host.doctor.findings import Verdict
from tests.host.doctor.sites import site_of

GOOD = {"numpy": "1.26.4", "pynq": "4.0.0", "pycparser": None}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def install(**packages: str | None) -> None:
        monkeypatch.setattr(machine, "_version", (GOOD | packages).get)

    return install


@pytest.mark.parametrize(
    "packages, remote, verdict, cure",
    [
        ({}, False, Verdict.OK, ""),
        ({}, True, Verdict.OK, ""),
        ({"pynq": "3.1.1"}, False, Verdict.OK, ""),
        ({"pynq": None}, False, Verdict.FAIL, "pip install pynq==4.0.0"),
        ({"numpy": "2.1.0"}, False, Verdict.FAIL, "pip install 'numpy<2'"),
        ({"pynq": "2.7.0"}, False, Verdict.FAIL, "pip install pynq==4.0.0"),
        ({"pynq": "3.1.1", "pycparser": "3.0"}, False, Verdict.FAIL, "pip install 'pycparser<3'"),
        ({"pynq": "4.0.0", "pycparser": "3.0"}, False, Verdict.OK, ""),
        ({"pynq": "3.1.1"}, True, Verdict.FAIL, "or work on the board"),
    ],
)
def test_versions(
    tmp_path: Path, installed: Callable[..., None], packages: dict[str, str], remote: bool, verdict: Verdict, cure: str
) -> None:
    installed(**packages)
    finding = machine.versions(site_of(tmp_path, address="board" if remote else None))
    assert finding.verdict is verdict
    assert cure in finding.cure


def test_an_old_python(tmp_path: Path, installed: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    installed()
    monkeypatch.setattr(machine, "sys", SimpleNamespace(version_info=(3, 8, 10)))
    finding = machine.versions(site_of(tmp_path))
    assert (finding.verdict, finding.cure[:10]) == (Verdict.FAIL, "use Python")
    assert sys.version_info >= (3, 10)


@pytest.mark.parametrize("user, verdict", [(0, Verdict.OK), (1000, Verdict.FAIL)])
def test_root(tmp_path: Path, user: int, verdict: Verdict) -> None:
    assert machine.root(site_of(tmp_path, user=user)).verdict is verdict


@pytest.mark.parametrize(
    "value, verdict, cure",
    [("here", Verdict.OK, ""), (None, Verdict.FAIL, "xrt_setup.sh"), ("/nowhere", Verdict.FAIL, "export XILINX_XRT")],
)
def test_xrt(tmp_path: Path, value: str | None, verdict: Verdict, cure: str) -> None:
    environment = {} if value is None else {"XILINX_XRT": str(tmp_path) if value == "here" else value}
    finding = machine.xrt(site_of(tmp_path, environment=environment))
    assert finding.verdict is verdict
    assert cure in finding.cure


def test_a_board_elsewhere_needs_neither_root_nor_xrt_here(tmp_path: Path) -> None:
    site = site_of(tmp_path, address="board", user=1000, environment={})
    assert {machine.root(site).verdict, machine.xrt(site).verdict} == {Verdict.SKIP}


@pytest.mark.parametrize("mib, verdict", [(50, Verdict.FAIL), (1000, Verdict.WARN), (9000, Verdict.OK)])
def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mib: int, verdict: Verdict) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=mib << 20))
    assert machine.disk(site_of(tmp_path)).verdict is verdict


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "access", lambda *_: False)
    finding = machine.disk(site_of(tmp_path))
    assert (finding.verdict, finding.cure) == (Verdict.FAIL, "change to another folder")


def test_checksums(tmp_path: Path) -> None:
    assert machine.deployment(site_of(tmp_path)).verdict is Verdict.SKIP
    (tmp_path / "a.py").write_text("1")
    write_checksums(tmp_path, [tmp_path / "a.py"])
    assert machine.deployment(site_of(tmp_path)).verdict is Verdict.OK
    (tmp_path / "a.py").write_text("2")
    finding = machine.deployment(site_of(tmp_path))
    assert (finding.verdict, finding.cure) == (Verdict.FAIL, "copy the folder to the board again")
