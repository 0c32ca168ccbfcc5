"""What the checks look at: a board, here or elsewhere, and the machine on which the host program runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hls.spec.config import HardwareConfig
from host.board_files import Files, read_text
from host.deployment import ROOT
from host.doctor.registers import Registers


@dataclass(frozen=True)
class Site:
    """Where the checks look.

    Attributes:
        config: the hardware configuration that programs are compiled for.
        files, registers: of the board.
        address: of a board elsewhere; None when this machine is the board.
        bitfile: the bitstream that training would load; None when there is none.
        folder: where the host program was copied to.
        here: the current folder.
        environment: environment variables.
        user: the effective user's number.
    """

    config: HardwareConfig
    files: Files
    registers: Registers
    address: str | None
    bitfile: Path | None
    folder: Path = ROOT
    here: Path = field(default_factory=Path.cwd)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    user: int = field(default_factory=os.geteuid)

    @property
    def remote(self) -> bool:
        """Whether the board is elsewhere."""
        return self.address is not None

    @property
    def is_board(self) -> bool:
        """Whether a Zynq UltraScale+ answers: only there may its registers be read."""
        compatible = read_text(self.files, "/proc/device-tree/compatible") or ""
        return "xlnx,zynqmp" in compatible or read_text(self.files, "/proc/device-tree/chosen/pynq_board") is not None
