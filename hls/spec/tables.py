"""Tables of the non-linear functions: integers made by the formulas below and frozen in `tables.json`.

``python -m hls.spec.tables`` writes the file again; a test holds the file equal to the formulas.
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

PATH = Path(__file__).with_name("tables.json")

EXP2_BITS = 20
"""Fraction bits of `exp2`: entry i is ``2**(-i/256)``, 257 entries, interpolated."""

RSQRT_BITS = 16
"""Fraction bits of `rsqrt`: entry i is ``1/sqrt(1 + (i + 0.5)/128)``, 384 entries: starts of a Newton step."""

GELU_BITS = 20
"""Fraction bits of `gelu`: entry i is ``a * Phi(-a)`` at ``a = i/64``, 513 entries on [0, 8], interpolated."""

GELU_SLOPE_BITS = 16
"""Fraction bits of `gelu_slope`: entry i is the slope ``Phi(-a) - a * phi(a)`` at -a = -i/64; at a it is 1 - that."""


def _normal_tail(a: float) -> float:
    return 0.5 * math.erfc(a / math.sqrt(2.0))


def _normal_density(a: float) -> float:
    return math.exp(-0.5 * a * a) / math.sqrt(2.0 * math.pi)


def compute() -> dict[str, list[int]]:
    """All tables, from their formulas."""
    points = [i / 64 for i in range(513)]
    return {
        "exp2": [round(2.0 ** (-i / 256) * 2**EXP2_BITS) for i in range(257)],
        "rsqrt": [round(2**RSQRT_BITS / math.sqrt(1 + (i + 0.5) / 128)) for i in range(384)],
        "gelu": [round(a * _normal_tail(a) * 2**GELU_BITS) for a in points],
        "gelu_slope": [round((_normal_tail(a) - a * _normal_density(a)) * 2**GELU_SLOPE_BITS) for a in points],
    }


def load() -> dict[str, list[int]]:
    """The frozen tables."""
    return json.loads(PATH.read_text())


def in_hardware() -> dict[str, list[int]]:
    """The tables as the kernels hold them: of what GELU falls behind its input, of its slope at -a and of that at a,
    one behind the other, where each of 512 lines starts and how far it rises. The last line of each is level, so that
    it also stands for all beyond 8."""
    tables = load()
    tail, slope = tables.pop("gelu"), tables.pop("gelu_slope")
    curves = [[-end for end in tail], slope, [2**GELU_SLOPE_BITS - end for end in slope]]
    return tables | {
        "gelu_start": [start for curve in curves for start in curve[:-1]],
        "gelu_rise": [end - start for curve in curves for start, end in itertools.pairwise(curve)],
    }


def set_lanes() -> list[int]:
    """For each byte the positions of its set bits, the lowest one first, three bits each."""
    positions = ([bit for bit in range(8) if byte >> bit & 1] for byte in range(256))
    return [sum(bit << 3 * i for i, bit in enumerate(found)) for found in positions]


if __name__ == "__main__":
    PATH.write_text(json.dumps(compute(), indent=None) + "\n")
