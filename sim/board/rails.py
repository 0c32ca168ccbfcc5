"""Power rails as the kernel's ina2xx driver shows them: one hwmon folder a sensor.

Power is a model, not a measurement: a constant a rail, and more on VCCINT and VCCBRAM while a program runs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rail:
    """A sensor by its place on the board, its rail, volts, and watts at rest and in a run."""

    sensor: str
    rail: str
    volts: float
    idle: float
    busy: float


RAILS = (
    Rail("u76", "VCCPSINTFP", 0.85, 0.50, 0.55),
    Rail("u77", "VCCPSINTLP", 0.85, 0.22, 0.22),
    Rail("u78", "VCCPSAUX", 1.80, 0.20, 0.20),
    Rail("u87", "VCCPSPLL", 1.20, 0.09, 0.09),
    Rail("u93", "VCCO_PSDDR", 1.20, 0.55, 0.95),
    Rail("u79", "VCCINT", 0.85, 0.80, 5.60),
    Rail("u81", "VCCBRAM", 0.85, 0.05, 0.60),
    Rail("u80", "VCCAUX", 1.80, 0.32, 0.35),
    Rail("u84", "VCC1V2", 1.20, 0.07, 0.07),
    Rail("u16", "VCC3V3", 3.30, 0.10, 0.10),
)


def read_sensor(index: int, entry: str, busy: bool) -> bytes | None:
    """A file of /sys/class/hwmon/hwmon`index`; None when there is none. Units of the kernel: mV, mA, microwatts."""
    if not 0 <= index < len(RAILS):
        return None
    rail = RAILS[index]
    watts = rail.busy if busy else rail.idle
    values = {
        "name": f"ina226_{rail.sensor}",
        "in1_input": "1",
        "in2_input": str(round(rail.volts * 1e3)),
        "curr1_input": str(round(watts / rail.volts * 1e3)),
        "power1_input": str(round(watts * 1e6)),
    }
    return f"{values[entry]}\n".encode() if entry in values else None
