"""Devices: what each FPGA has, and how much of it a configuration may take."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Resources:
    """Counts of fabric resources; BRAM36 in halves, as two RAMB18 make one; URAM of 4,096 words of 72 bits."""

    dsp: float = 0
    bram36: float = 0
    lut: float = 0
    ff: float = 0
    uram: float = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(*(getattr(self, name) + getattr(other, name) for name in NAMES))

    def __mul__(self, times: float) -> Resources:
        return Resources(*(getattr(self, name) * times for name in NAMES))


NAMES = tuple(f.name for f in fields(Resources))


@dataclass(frozen=True)
class Device:
    """One FPGA, from the vendor's selection guides (DS891, DS987, DS962)."""

    name: str
    board: str
    has: Resources

    @property
    def gives(self) -> Resources:
        """What a configuration may take."""
        return Resources(*(getattr(self.has, name) * getattr(LIMIT, name) for name in NAMES))


LIMIT = Resources(dsp=1.0, bram36=1.0, lut=0.8, ff=0.8, uram=1.0)
"""Fraction of a device that may be taken: beyond 80 % of the LUTs routing at the clock is no longer likely."""

DEVICES = {
    device.name: device
    for device in (
        Device("xczu9eg", "ZCU102", Resources(dsp=2520, bram36=912, lut=274_080, ff=548_160)),
        Device("xczu7ev", "ZCU104", Resources(dsp=1728, bram36=312, lut=230_400, ff=460_800, uram=96)),
        Device("xck26", "KV260", Resources(dsp=1248, bram36=144, lut=117_120, ff=234_240, uram=64)),
        Device("xcu200", "Alveo U200", Resources(dsp=6840, bram36=2160, lut=1_182_240, ff=2_364_480, uram=960)),
        Device("xcu250", "Alveo U250", Resources(dsp=12_288, bram36=2688, lut=1_728_000, ff=3_456_000, uram=1280)),
    )
}


def device_of(part: str) -> Device | None:
    """The device of a part as the vendor tools name it (`xczu9eg-ffvb1156-2-e`); None if it is not in the table."""
    return DEVICES.get(part.split("-", 1)[0])
