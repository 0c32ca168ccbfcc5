"""What the checker beside each master watches: rules of AXI and of the configuration, and what traffic has covered."""

from __future__ import annotations

from typing import NamedTuple

from hls.spec.system import MEMORY_PORTS

PORTS = len(MEMORY_PORTS)
"""Memory masters."""


class Watched(NamedTuple):
    """A rule or a coverage bin, as the checker's SystemVerilog names it."""

    name: str
    text: str


def _both(name: str, text: str) -> tuple[Watched, Watched]:
    """The same for both address channels."""
    return Watched(f"AR_{name}", f"read: {text}"), Watched(f"AW_{name}", f"write: {text}")


RULES: tuple[Watched, ...] = (
    *_both("UNSTABLE", "a request changed or was withdrawn before it was taken"),
    *_both("CROSSES", "a burst crosses a 4 KiB boundary"),
    *_both("LONG", "a burst has more beats than the configuration allows"),
    *_both("SHAPE", "a burst is not INCR of whole aligned words"),
    *_both("OUTSIDE", "a burst leaves the memory window"),
    *_both("MANY", "more bursts are under way than the configuration allows"),
    Watched("W_UNSTABLE", "a word changed or was withdrawn before it was taken"),
    Watched("W_LAST", "WLAST is not at the last word of its burst"),
    Watched("IN_RESET", "a request was made in reset"),
)

BINS: tuple[Watched, ...] = (
    *_both("SINGLE", "bursts of one beat"),
    *_both("SHORT", "bursts between one beat and the most"),
    *_both("FULL", "bursts of the most beats"),
    *_both("TO_4K", "bursts that end at a 4 KiB boundary"),
    *_both("FROM_4K", "bursts that begin at a 4 KiB boundary"),
    *_both("UNALIGNED", "bursts that begin between multiples of 256 bytes"),
    *_both("ABOVE_4G", "bursts above 4 GiB"),
    *_both("STALLED", "requests that had to wait"),
    *_both("ALONE", "bursts begun with none under way"),
    *_both("SEVERAL", "bursts begun with others under way"),
    *_both("MOST", "bursts that made as many under way as allowed"),
    Watched("W_STALLED", "cycles in which a word had to wait"),
    Watched("W_PARTIAL", "words with not all byte strobes"),
    Watched("W_NOTHING", "words without any byte strobe"),
    Watched("R_IDLE", "cycles of a read without a word inside a burst"),
    Watched("BOTH_WAYS", "cycles with a word each way"),
    Watched("R_WHILE_AW_STALLED", "words read while a write request waits"),
    Watched("W_WHILE_AR_STALLED", "words written while a read request waits"),
    Watched("R_SLVERR", "words answered with SLVERR"),
    Watched("R_DECERR", "words answered with DECERR"),
    Watched("B_SLVERR", "writes answered with SLVERR"),
    Watched("B_DECERR", "writes answered with DECERR"),
)
