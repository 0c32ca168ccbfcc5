"""Devices: what each FPGA has, and how much of it a configuration may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Resources:
    """Counts of fabric resources; BRAM36 in halves, as two RAMB18 make one."""

    dsp: float = 0
    bram36: float = 0
    lut: float = 0
    ff: float = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.dsp + other.dsp, self.bram36 + other.bram36, self.lut + other.lut, self.ff + other.ff)

    def __mul__(self, times: float) -> Resources:
        return Resources(self.dsp * times, self.bram36 * times, self.lut * times, self.ff * times)


@dataclass(frozen=True)
class Device:
    """One FPGA, from the vendor's selection guides (DS891, DS987, DS962)."""

    name: str
    board: str
    has: Resources


LIMIT = Resources(dsp=1.0, bram36=1.0, lut=0.8, ff=0.8)
"""Fraction of a device that may be taken: beyond 80 % of the LUTs routing at the clock is no longer likely."""

DEVICES = {
    device.name: device
    for device in (
        Device("xczu9eg", "ZCU102", Resources(dsp=2520, bram36=912, lut=274_080, ff=548_160)),
        Device("xczu7ev", "ZCU104", Resources(dsp=1728, bram36=312, lut=230_400, ff=460_800)),  # and 96 URAM, unused
        Device("xck26", "KV260", Resources(dsp=1248, bram36=144, lut=117_120, ff=234_240)),  # and 64 URAM, unused
        Device("xcu200", "Alveo U200", Resources(dsp=6840, bram36=2160, lut=1_182_240, ff=2_364_480)),
        Device("xcu250", "Alveo U250", Resources(dsp=12_288, bram36=2688, lut=1_728_000, ff=3_456_000)),
    )
}


def device_of(part: str) -> Device | None:
    """The device of a part as the vendor tools name it (`xczu9eg-ffvb1156-2-e`); None if it is not in the table."""
    return DEVICES.get(part.split("-", 1)[0])
