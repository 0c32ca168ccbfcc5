"""Boards that the block design is made for."""

from __future__ import annotations

from dataclasses import dataclass

from host.errors import PeelVitError


@dataclass(frozen=True)
class Board:
    """A Zynq UltraScale+ board whose DDR4 memory is on the processing system."""

    name: str
    part: str
    """Device, as the vendor tools name it."""
    board_part: str
    """Board files to look for, without their version; the newest installed one is taken."""
    pll_mhz: int
    """The PLL that the PL clock is divided from (IOPLL of the board's preset)."""
    high_bytes: int
    """Memory above 4 GiB, at 0x8_0000_0000; the low range is 2 GiB on all of them."""


BOARDS = {
    board.name: board
    for board in (
        Board("zcu102", "xczu9eg-ffvb1156-2-e", "xilinx.com:zcu102:part0", 1500, 0x8000_0000),
        Board("zcu104", "xczu7ev-ffvc1156-2-e", "xilinx.com:zcu104:part0", 1500, 0),
        Board("kv260", "xck26-sfvc784-2LV-c", "xilinx.com:kv260_som:part0", 1500, 0x8000_0000),
    )
}
CLOCKS_MHZ = (150, 200, 300)
REFERENCE_MHZ = 100
"""PL clock that a clock wizard starts from."""


def board_of(name: str) -> Board:
    """A board by name; `PeelVitError` when there is none of that name."""
    if name not in BOARDS:
        raise PeelVitError(f"there is no board {name}; the known ones are {', '.join(BOARDS)}")
    return BOARDS[name]


def board_for(part: str) -> Board:
    """The board with a part; `PeelVitError` when no board has it."""
    for board in BOARDS.values():
        if board.part == part:
            return board
    raise PeelVitError(
        f"make hw builds for boards with a Zynq UltraScale+ ({', '.join(BOARDS)}), and none has the part {part}; "
        "docs/hardware.md says how to add one"
    )
