"""What yosys counted of the leaf datapaths (`make leaf`), for the functions of the kernels that they are.

A leaf's operators are counted by the rules of this package, as everywhere, and then scaled by what yosys found for the
leaf over what the rules give for it alone. So a leaf that stands in the kernels as it was synthesised costs what yosys
counted, and one whose operands are narrower there costs less.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hls.area.report import REPORT, read

KEPT = Path(__file__).resolve().parents[2] / "docs" / "results" / "leaves.json"

FUNCTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "exponential": (("exponential",), ()),
    "reciprocal": (("reciprocal",), ()),
    "rsqrt": (("rsqrt",), ()),
    "gelu_value": (("gelu_value",), ()),
    "gelu_slope": (("gelu_slope",), ()),
    "finished_element": (("epilogue",), ("gelu_value", "gelu_slope")),
    "store": (("requantise16", "requantise32"), ()),
    "fit16": (("probability", "normalise"), ()),  # of 64 bits and of 48, with what stands before them
}
"""By function of the kernels: the leaves that hold it, and those of them that are functions of their own."""


def counted() -> dict[str, Any]:
    """The rows of all leaves: those of a report of `make leaf` that is newer than the one kept with the source."""
    is_newer = REPORT.is_file() and REPORT.stat().st_mtime > KEPT.stat().st_mtime
    return read(KEPT)["leaves"] | (read(REPORT).get("leaves", {}) if is_newer else {})


def scales(counts: Mapping[str, Any] | None = None) -> Mapping[str, float]:
    """Counted over estimated LUTs by function of the kernels; from `counts` of leaves (default: `counted()`)."""
    counts = counted() if counts is None else counts
    found = {}
    for function, (leaves, inner) in FUNCTIONS.items():
        if counts.keys() >= {*leaves, *inner}:
            cells = [sum(counts[leaf]["lut"] for leaf in part) for part in (leaves, inner)]
            estimated = [sum(counts[leaf]["estimated"]["lut"] for leaf in part) for part in (leaves, inner)]
            found[function] = (cells[0] - cells[1]) / (estimated[0] - estimated[1])
    return found
