"""Boards for the doctor: a tree of files with a few registers, and the virtual board in this process."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hls.spec.config import load
from host.board_files import LocalFiles
from host.doctor.site import Site
from host.power.rails import HWMON
from tests.host.power.boards import write_all_rails

CONFIG = load("toy")
PL0, IOPLL = 0xFF5E_00C0, 0xFF5E_0020
CLOCK_150 = {PL0: 1 << 24 | 10 << 8 | 1 << 16, IOPLL: 90 << 8 | 1 << 16}
"""The IO PLL at 1,500 MHz, divided by 10."""


@dataclass
class FakeRegisters:
    """Registers of a dictionary."""

    words: dict[int, int] = field(default_factory=lambda: dict(CLOCK_150))

    def read(self, address: int) -> int | None:
        return self.words.get(address)


def write(root: Path, path: str, text: str) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def meminfo(total_mib: int = 4096, cma_mib: int = 512, free_mib: int = 500) -> str:
    sizes = {"MemTotal": total_mib, "CmaTotal": cma_mib, "CmaFree": free_mib}
    return "".join(f"{name}:   {mib << 10} kB\n" for name, mib in sizes.items())


def write_board(root: Path) -> None:
    """A board on which everything is as it should be."""
    write(root, "/proc/version", "Linux version 6.6.40-xilinx (builder) aarch64\n")
    write(root, "/proc/device-tree/compatible", "xlnx,zynqmp-zcu102-rev1.0\0xlnx,zynqmp\0")
    write(root, "/proc/device-tree/chosen/pynq_board", "ZCU102\0")
    write(root, "/proc/meminfo", meminfo())
    for name in ("ue_count", "ce_count"):
        write(root, f"/sys/devices/system/edac/mc/mc0/{name}", "0\n")
    write_all_rails(root)


def site_of(root: Path, **changes: Any) -> Site:
    """The board in the tree `root`, on which this process runs as root."""
    settings: dict[str, Any] = {
        "config": CONFIG, "files": LocalFiles(root), "registers": FakeRegisters(), "address": None, "bitfile": None,
        "folder": root, "here": root, "environment": {"XILINX_XRT": str(root)}, "user": 0,
    }  # fmt: skip
    return Site(**(settings | changes))


def hwmon(root: Path) -> Path:
    return root / HWMON.lstrip("/")
