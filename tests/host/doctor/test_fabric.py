"""Bitstream, handoff and the fabric's clock."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hls.spec.registers import BY_NAME
from hls.spec.system import KERNEL, MEMORY_PORTS
from host.deployment import PROVENANCE
from host.doctor import fabric
from host.doctor.findings import Verdict
from host.doctor.handoff import bit_time, read_handoff
from host.errors import PeelVitError
from sim.board.bitstream import write_bitstream
from tests.host.doctor.sites import CLOCK_150, CONFIG, IOPLL, PL0, FakeRegisters, site_of, write_board


@pytest.fixture
def bitfile(tmp_path: Path) -> Path:
    return write_bitstream(CONFIG, tmp_path / "peelvit.bit")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_sound_pair(tmp_path: Path, bitfile: Path) -> None:
    handoff = read_handoff(bitfile.with_suffix(".hwh"))
    assert handoff.address == KERNEL.offset
    assert handoff.clock_mhz == pytest.approx(CONFIG.clock_mhz, rel=1e-4)
    assert handoff.memory_ports == (len(MEMORY_PORTS), len(MEMORY_PORTS))
    made = bit_time(bitfile)
    assert made is not None
    assert made.year == 1970
    assert fabric.bitstream(site_of(tmp_path, bitfile=bitfile)).verdict is Verdict.OK


def test_no_bitstream(tmp_path: Path) -> None:
    finding = fabric.bitstream(site_of(tmp_path))
    assert (finding.verdict, finding.cure) == (Verdict.FAIL, "make one with `make hw`, or name one with --bitfile")


@pytest.mark.parametrize("suffix", [".bit", ".hwh"])
def test_half_a_pair(tmp_path: Path, bitfile: Path, suffix: str) -> None:
    bitfile.with_suffix(suffix).unlink()
    finding = fabric.bitstream(site_of(tmp_path, bitfile=bitfile))
    assert finding.verdict is Verdict.FAIL
    assert f"peelvit{suffix}" in finding.text


def test_a_handoff_of_another_register_map(tmp_path: Path, bitfile: Path) -> None:
    offset = BY_NAME["status"].offset
    replace(bitfile.with_suffix(".hwh"), f'VALUE="0x{offset:X}"', f'VALUE="0x{offset + 4:X}"')
    finding = fabric.bitstream(site_of(tmp_path, bitfile=bitfile))
    assert finding.verdict is Verdict.FAIL
    assert f"no register at {offset:#x}" in finding.text


def test_a_handoff_of_another_place(tmp_path: Path, bitfile: Path) -> None:
    replace(bitfile.with_suffix(".hwh"), f'BASEVALUE="0x{KERNEL.offset:08X}"', 'BASEVALUE="0xB0000000"')
    finding = fabric.bitstream(site_of(tmp_path, bitfile=bitfile))
    assert "has the accelerator at 0xb0000000" in finding.text


@pytest.mark.parametrize("content, words", [("<a", "is no hardware handoff"), ("<a/>", "of another design or version")])
def test_a_handoff_of_something_else(tmp_path: Path, bitfile: Path, content: str, words: str) -> None:
    bitfile.with_suffix(".hwh").write_text(content)
    finding = fabric.bitstream(site_of(tmp_path, bitfile=bitfile))
    assert finding.verdict is Verdict.FAIL
    assert words in finding.text


def test_a_handoff_generated_after_the_bitstream(tmp_path: Path, bitfile: Path) -> None:
    replace(bitfile.with_suffix(".hwh"), "Jan  1 00:00:00 1970", "Jan  1 00:00:00 1971")
    finding = fabric.bitstream(site_of(tmp_path, bitfile=bitfile))
    assert finding.verdict is Verdict.WARN
    assert "after the bitstream of 1970-01-01" in finding.text


def test_a_bitstream_of_another_configuration(tmp_path: Path, bitfile: Path) -> None:
    stated = {"config": "zcu102", "config_hash": f"{CONFIG.hash ^ 1:016x}"}
    (tmp_path / PROVENANCE).write_text(json.dumps(stated))
    finding = fabric.bitstream(site_of(tmp_path, bitfile=bitfile))
    assert finding.verdict is Verdict.FAIL
    assert finding.cure.startswith("use --config zcu102")


@pytest.mark.parametrize(
    "words, loaded, mhz, verdict",
    [
        (CLOCK_150, True, 150.0, Verdict.OK),
        ({PL0: 5 << 8 | 1 << 16}, True, 300.0, Verdict.FAIL),
        ({PL0: 5 << 8 | 1 << 16}, False, 300.0, Verdict.WARN),
        ({PL0: 15 << 8 | 1 << 16}, True, 100.0, Verdict.WARN),
        ({PL0: 2 | 10 << 8 | 1 << 16, 0xFF5E_0030: 70 << 8 | 1 << 16}, True, 116.7, Verdict.WARN),  # the R PLL
    ],
)
def test_clock(
    tmp_path: Path, bitfile: Path, words: dict[int, int], loaded: bool, mhz: float, verdict: Verdict
) -> None:
    write_board(tmp_path)
    registers = FakeRegisters({IOPLL: CLOCK_150[IOPLL]} | words)
    site = site_of(tmp_path, bitfile=bitfile, registers=registers)
    assert fabric.fabric_mhz(site) == pytest.approx(mhz, abs=0.1)
    assert fabric.clock(site, loaded).verdict is verdict


def test_a_clock_that_cannot_be_read(tmp_path: Path) -> None:
    assert fabric.clock(site_of(tmp_path, registers=FakeRegisters({})), True).verdict is Verdict.SKIP


def test_the_accelerator_s_own_sentence_and_cure(tmp_path: Path, bitfile: Path) -> None:
    def broken() -> None:
        print("loading")
        raise PeelVitError("the accelerator does not answer; load the bitstream again")

    site = site_of(tmp_path, bitfile=bitfile)
    finding = fabric.accelerator(site, broken)
    assert (finding.verdict, finding.text) == (Verdict.FAIL, "the accelerator does not answer")
    assert finding.cure == "load the bitstream again"
    assert fabric.accelerator(site, lambda: None).verdict is Verdict.OK
    assert fabric.accelerator(site, None).verdict is Verdict.SKIP
