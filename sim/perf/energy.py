"""Energy as an estimate: power that others published for comparable accelerators, times modelled time.

No figure of ours: power is neither measured nor modelled here. The published ones are for other designs on the same
board and say little about training; the estimate spans all of them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Power of an accelerator on a ZCU102, as its authors state it or as it follows from two figures of theirs."""

    name: str
    watts: float
    source: str


PUBLISHED = (
    Published("EfficientViT, 8 bits, 200 MHz", 780.2 / 105.1, "arXiv 2403.20230, abstract: 780.2 GOPS at 105.1 GOPS/W"),
    Published(
        "EF-Train, training of CNNs, float32", 46.99 / 6.09, "EF-Train, 2022, abstract: 46.99 GFLOPS at 6.09 GFLOPS/W"
    ),
    Published("UbiMoE-E, ViT-T, 16 bits, 300 MHz", 9.94, "UbiMoE, table III"),
    Published("HeatViT, DeiT-S, 8 bits", 10.697, "as cited in UbiMoE, table III"),
)

LOW, HIGH = min(p.watts for p in PUBLISHED), max(p.watts for p in PUBLISHED)


def joules(ms: float) -> tuple[float, float]:
    """The least and the most that a run of so many milliseconds takes at published powers."""
    return LOW * ms * 1e-3, HIGH * ms * 1e-3


def legend() -> str:
    """Where the powers come from."""
    lines = [f"  {p.watts:5.2f} W  {p.name} ({p.source})" for p in sorted(PUBLISHED, key=lambda p: p.watts)]
    return "\n".join(["energy: an estimate, modelled time at powers published for other designs on a ZCU102:", *lines])
