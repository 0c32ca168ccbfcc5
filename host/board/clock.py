"""The fabric's clock: set, read back, and never above what the bitstream was timed for."""

from __future__ import annotations

from typing import Any

from host.board.link import quiet
from host.errors import PeelVitError

_TOLERANCE = 0.01


def forget_clocks(clocks: Any) -> None:
    """Let pynq look at the clocks of the present device: it keeps those of the first one that it saw."""
    if hasattr(clocks, "_real_instance"):
        del clocks._real_instance


def check_wanted(wanted: float | None, timed: float) -> None:
    """Refuse a clock that the bitstream was not timed for."""
    if wanted is not None and wanted > timed * (1 + _TOLERANCE):
        raise PeelVitError(
            f"--clk-mhz is {wanted:g} but the bitstream was timed for {timed:g} MHz; give at most that, or build a "
            "faster one"
        )
    if wanted is not None and not wanted > 0:
        raise PeelVitError(f"--clk-mhz is {wanted:g}; give a clock above 0")


def set_clock(clocks: Any, wanted: float | None, timed: float) -> float:
    """Set clock 0 of the fabric to `wanted` MHz, if given, and return what it is by its registers."""
    with quiet():
        if wanted is not None:
            clocks.fclk0_mhz = float(wanted)
        actual = float(clocks.fclk0_mhz)
    if actual > timed * (1 + _TOLERANCE):
        raise PeelVitError(
            f"the fabric's clock reads back as {actual:g} MHz but the bitstream was timed for {timed:g}; "
            "its PLL or dividers are not what PYNQ takes them for: boot with the image of docs/board.md"
        )
    if wanted is not None and abs(actual - wanted) > wanted * _TOLERANCE:
        raise PeelVitError(f"the dividers cannot make {wanted:g} MHz; the nearest is --clk-mhz {actual:.3f}")
    return actual
