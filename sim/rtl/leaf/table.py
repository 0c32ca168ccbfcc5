"""The leaves: names and ports as `leaves.cpp` has them."""

from __future__ import annotations

from hls.spec.config import HardwareConfig
from hls.spec.formats import LANES
from sim.rtl.leaf import mac_cell
from sim.rtl.leaf.leaf import Leaf, s, u


def _requantise(bits: int) -> Leaf:
    return Leaf(
        f"requantise{bits}",
        (s("value", 64), s("shift", 8), u("seen_bits", 64), u("seen_saturations", 32)),
        (s("mantissa", bits), u("all_bits", 64), u("all_saturations", 32)),
    )


def selection_banks(config: HardwareConfig) -> int:
    """Bytes of a bit plane of all candidates (kBanks)."""
    chunks = -(-config.max_patches // LANES)
    return int(1 << max(5, (chunks - 1).bit_length()))


def leaves(config: HardwareConfig) -> dict[str, Leaf]:
    """All leaves of a configuration, by name."""
    banks = selection_banks(config)
    rows = [
        Leaf("mac", (*mac_cell.FACTORS, u("restart", 1), s("sum", 48)), (s("result", 48),)),
        _requantise(16),
        _requantise(32),
        Leaf("exponential", (u("distance", 40), s("fraction", 8), u("scale", 24)), (u("value", 21),)),
        Leaf("reciprocal", (u("sum", 33),), (u("value", 29),)),
        Leaf("rsqrt", (u("value", 62),), (u("mantissa", 17), u("exponent", 5))),
        Leaf("gelu_value", (s("x", 16), s("fraction", 8)), (s("value", 48),)),
        Leaf("gelu_slope", (s("x", 16), s("fraction", 8)), (s("slope", 18),)),
        Leaf(
            "probability",
            (u("exponential", 21), u("inverse", 29), s("shift", 8), u("seen_bits", 64), u("seen_saturations", 32)),
            (s("mantissa", 16), u("all_bits", 64), u("all_saturations", 32)),
        ),
        Leaf(
            "normalise",
            (
                *(s("x", 18), u("scale", 26), s("offset", 48), s("shift", 8)),
                *(s("gamma", 16), s("beta", 16), s("beta_shift", 8), s("y_shift", 8)),
            ),
            (s("normalised", 16), u("normalised_bits", 48), s("y", 16), u("y_bits", 48)),
        ),
        Leaf(
            "epilogue",
            (
                *(s("sum", 64), s("bias", 16), s("addend", 32), s("saved", 16), u("has_bias", 1), u("adds", 1)),
                *(u(name, 1) for name in ("has_gelu", "has_gelu_backward", "is_gradient", "is_input")),
                *(s(name, 8) for name in ("fraction", "f_bias", "f_residual", "f_pre", "f_out")),
            ),
            (s("mantissa", 32), u("bits_of_it", 64)),
        ),
        Leaf(
            "look_at_bits",
            (u("next_bits", 8, banks), u("tied", 8, banks), u("wanted", 9)),
            (u("chosen", 8, banks), u("still_tied", 8, banks), u("still_wanted", 9)),
        ),
    ]
    return {leaf.name: leaf for leaf in rows}
