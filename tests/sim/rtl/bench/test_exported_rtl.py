"""`make rtl DUT=vitis`: the handling of exported files, on a small design that stands in for one."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

import pytest

from hls.spec.config import load
from host.errors import PeelVitError
from sim.rtl.bench.__main__ import main
from sim.rtl.bench.exported import exported
from sim.rtl.shell.render import sources
from sim.rtl.shell.watched import PORTS

CONFIG = load("toy")
STANDIN = Path(__file__).with_name("standin")
ADDRESS = {
    "VALID": 1, "ADDR": 64, "ID": 1, "LEN": 8, "SIZE": 3, "BURST": 2, "LOCK": 2, "CACHE": 4, "PROT": 3, "QOS": 4,
    "REGION": 4, "USER": 1,
}  # fmt: skip
OUTPUTS = {f"{channel}{signal}": bits for channel in ("AW", "AR") for signal, bits in ADDRESS.items()} | {
    "WVALID": 1, "WDATA": 128, "WSTRB": 16, "WLAST": 1, "WID": 1, "WUSER": 1, "BREADY": 1, "RREADY": 1,
}  # fmt: skip
INPUTS = {
    "AWREADY": 1, "WREADY": 1, "BVALID": 1, "BRESP": 2, "BID": 1, "BUSER": 1, "ARREADY": 1, "RVALID": 1, "RDATA": 128,
    "RLAST": 1, "RID": 1, "RUSER": 1, "RRESP": 2,
}  # fmt: skip


def export(folder: Path, config_hash: int = CONFIG.hash) -> Path:
    """A folder as export_design writes it; the masters never ask for anything."""
    home = folder / "solution" / "impl" / "verilog"
    home.mkdir(parents=True)
    names, directions = [], []
    for port in range(PORTS):
        for way, signals in (("output", OUTPUTS), ("input", INPUTS)):
            for signal, bits in signals.items():
                names.append(f"    m_axi_gmem{port}_{signal},")
                directions.append(f"{way} [{bits - 1}:0] {names[-1].strip(' ,')};")
                if way == "output":
                    directions.append(f"assign {names[-1].strip(' ,')} = 0;")
    top = (STANDIN / "peelvit_top.v.txt").read_text()
    top = top.replace("@PORTS@", "\n".join(names)).replace("@DIRECTIONS@", "\n".join(directions))
    (home / "peelvit_top.v").write_text(top)
    (home / "peelvit_top_hash_ROM.v").write_text((STANDIN / "peelvit_top_hash_ROM.v").read_text())
    (home / "peelvit_top_control_s_axi.v").write_text(sources(CONFIG)["control.sv"])
    words = (config_hash & 0xFFFFFFFF, config_hash >> 32)
    (home / "peelvit_top_hash_ROM.dat").write_text("".join(f"0x{word:08x}\n".removeprefix("0x") for word in words))
    return folder


def bench(folder: Path, report: Path, *more: str) -> None:
    arguments = ["bench", "--dut", "vitis", "--rtl-dir", str(folder), "--report", str(report), *more]
    with mock.patch.object(sys, "argv", arguments):
        main()


def test_the_files_of_an_export_are_found(tmp_path: Path) -> None:
    assert set(exported(export(tmp_path))) == {
        "peelvit_top.v", "peelvit_top_control_s_axi.v", "peelvit_top_hash_ROM.v", "peelvit_top_hash_ROM.dat",
    }  # fmt: skip


def test_a_stand_in_passes_the_register_tests_and_a_wrong_one_does_not(tmp_path: Path) -> None:
    bench(export(tmp_path / "right"), tmp_path / "right.json", "--modules", "registers")
    # Only the contents of the memory differ: they are what the simulation reads in its folder.
    wrong = export(tmp_path / "wrong", CONFIG.hash ^ 1)
    with pytest.raises(PeelVitError, match="1 of 13 tests failed"):
        bench(wrong, tmp_path / "wrong.json", "--modules", "registers")


def test_what_cannot_be_simulated_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PeelVitError, match="there is no folder"):
        exported(tmp_path / "nowhere")
    with pytest.raises(PeelVitError, match="has the module peelvit_top"):
        exported(tmp_path)
    home = export(tmp_path) / "solution" / "impl" / "verilog"
    (home / "peelvit_top_hash_ROM.dat").rename(tmp_path / "elsewhere.dat")
    with pytest.raises(PeelVitError, match=r"reads peelvit_top_hash_ROM.dat, which is not beside it"):
        exported(tmp_path)
    (home / "peelvit_top_fadd.v").write_text("module peelvit_top_fadd; floating_point_v7_1 core(); endmodule\n")
    with pytest.raises(PeelVitError, match="encrypted core floating_point_v7_1"):
        exported(tmp_path)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--dut", "vitis"], "--rtl-dir"),
        (["--rtl-dir", "."], "--dut vitis"),
        (["--dut", "vitis", "--rtl-dir", ".", "--modules", "traffic"], "copying kernel"),
        (["--config", "none"], "there is no hardware configuration none"),
    ],
)
def test_wrong_options_are_refused(arguments: list[str], sentence: str) -> None:
    with mock.patch.object(sys, "argv", ["bench", *arguments]), pytest.raises(PeelVitError, match=sentence):
        main()
