"""Contiguous memory against what training takes, memory above 4 GiB, and flipped bits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hls.spec.config import load
from host.deployment import PROGRAMS
from host.doctor import memory
from host.doctor.findings import Verdict
from sim.board.bitstream import write_bitstream
from tests.host.doctor.sites import CONFIG, meminfo, site_of, write, write_board

MIB = 1 << 20


@pytest.mark.parametrize(
    "total, free, verdict, cure",
    [
        (512, 500, Verdict.OK, ""),
        (256, 250, Verdict.FAIL, "boot with cma=512M"),
        (512, 100, Verdict.FAIL, "end the programs that hold buffers"),
    ],
)
def test_cma_for_deit_t(tmp_path: Path, total: int, free: int, verdict: Verdict, cure: str) -> None:
    write_board(tmp_path)
    write(tmp_path, "/proc/meminfo", meminfo(cma_mib=total, free_mib=free))
    finding = memory.contiguous_memory(site_of(tmp_path, config=load("zcu102")))
    assert finding.verdict is verdict
    assert finding.cure.startswith(cure)
    assert "training deit_tiny_patch16_224 at 16 images takes 355.1 MiB" in finding.text


def test_cma_for_the_deployed_programs(tmp_path: Path) -> None:
    write_board(tmp_path)
    for name, words in (("small", MIB), ("large", 64 * MIB)):
        write(tmp_path, f"/{PROGRAMS}/{name}/train.json", json.dumps({"window_words": words}))
    finding = memory.contiguous_memory(site_of(tmp_path))
    assert finding.verdict is Verdict.FAIL
    assert "takes 1024.0 MiB" in finding.text
    assert finding.cure.startswith("boot with cma=1024M")


def test_a_kernel_without_cma(tmp_path: Path) -> None:
    write(tmp_path, "/proc/meminfo", "MemTotal: 4000000 kB\n")
    assert "CONFIG_CMA" in memory.contiguous_memory(site_of(tmp_path)).cure


def test_memory_above_4_gib_needs_ports_that_reach_it(tmp_path: Path) -> None:
    write_board(tmp_path)
    bitfile = write_bitstream(CONFIG, tmp_path / "peelvit.bit")
    assert memory.high_memory(site_of(tmp_path, bitfile=bitfile)).verdict is Verdict.OK
    handoff = bitfile.with_suffix(".hwh")
    lines = handoff.read_text().splitlines()
    low = [line for line in lines if not ("HP1_DDR_HIGH" in line and "MEMRANGE" in line)]
    assert len(low) == len(lines) - 1
    handoff.write_text("\n".join(low))
    finding = memory.high_memory(site_of(tmp_path, bitfile=bitfile))
    assert finding.verdict is Verdict.FAIL
    assert "only 4 of 5 memory ports" in finding.text
    write(tmp_path, "/proc/meminfo", meminfo(total_mib=2048))
    assert memory.high_memory(site_of(tmp_path, bitfile=bitfile)).verdict is Verdict.OK


@pytest.mark.parametrize(
    "lost, corrected, verdict",
    [(0, 0, Verdict.OK), (0, 3, Verdict.WARN), (1, 0, Verdict.FAIL), (None, None, Verdict.WARN)],
)
def test_flipped_bits(tmp_path: Path, lost: int | None, corrected: int | None, verdict: Verdict) -> None:
    for name, count in (("ue_count", lost), ("ce_count", corrected)):
        if count is not None:
            write(tmp_path, f"/sys/devices/system/edac/mc/mc0/{name}", f"{count}\n")
    assert memory.flipped_bits(site_of(tmp_path)).verdict is verdict
