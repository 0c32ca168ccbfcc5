"""The ZCU102's supply rails, read through Linux's hwmon.

Each INA226 monitor shows itself under /sys/class/hwmon by the chip's number on the board's drawing (UG1182, tables
3-22 and 3-56): as `ina226_u79` where the kernel has the IIO driver, or as a device `ina226` with the label `ina226-u79`
where it has the hwmon driver. The numbers of the hwmon folders change from boot to boot, so nothing goes by them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from host.board_files import Files, read_number, read_text

HWMON = "/sys/class/hwmon"

RAILS = {
    "u79": "VCCINT",
    "u81": "VCCBRAM",
    "u80": "VCCAUX",
    "u84": "VCC1V2",
    "u16": "VCC3V3",
    "u76": "VCCPSINTFP",
    "u77": "VCCPSINTLP",
    "u78": "VCCPSAUX",
    "u87": "VCCPSPLL",
    "u93": "VCCO_PSDDR",
}
"""Monitors and rails that feed the fabric (the first five) and the processing system with its DDR pins."""

_FOLDERS = 64
"""hwmon folders looked at: the ZCU102 has 18 monitors and a few sensors besides."""

_MICRO = 1e-6  # mV x mA = uW


@dataclass(frozen=True)
class Rail:
    """One supply: its monitor, its name and the folder of its sysfs entries."""

    monitor: str
    name: str
    folder: str
    voltage: str
    """Entry of the bus voltage in millivolts: the two drivers count differently."""

    def watts(self, files: Files) -> float | None:
        """Voltage times current now; None when the monitor does not answer."""
        millivolts = read_number(files, f"{self.folder}/{self.voltage}")
        milliamperes = read_number(files, f"{self.folder}/curr1_input")
        if millivolts is None or milliamperes is None:
            return None
        return millivolts * milliamperes * _MICRO


def find_rails(files: Files, hwmon: str = HWMON) -> list[Rail]:
    """The rails of `RAILS` that the board shows, in that order."""
    found = {}
    for number in range(_FOLDERS):
        folder = f"{hwmon}/hwmon{number}"
        monitor = _monitor(files, folder)
        if monitor in RAILS:
            found[monitor] = Rail(monitor, RAILS[monitor], folder, _voltage_entry(files, folder))
    return [found[monitor] for monitor in RAILS if monitor in found]


def _monitor(files: Files, folder: str) -> str:
    """The chip's number, such as u79; empty when the folder is something else's."""
    for entry in ("name", "label"):
        match = re.fullmatch(r"ina226[_-](u\d+)", read_text(files, f"{folder}/{entry}") or "")
        if match:
            return match[1]
    return ""


def _voltage_entry(files: Files, folder: str) -> str:
    """The IIO bridge counts shunt 1, bus 2; the hwmon driver shunt 0, bus 1."""
    return "in2_input" if files.read(f"{folder}/in2_input") is not None else "in1_input"


def missing_sentence(rails: Sequence[Rail]) -> str | None:
    """What to tell the user about rails that are not there; None when all are."""
    there = {rail.monitor for rail in rails}
    missing = [f"{name} ({monitor})" for monitor, name in RAILS.items() if monitor not in there]
    if not missing:
        return None
    if not rails:
        return (
            f"the board shows none of its INA226 monitors under {HWMON}, so no power is measured; "
            "use an image whose kernel has CONFIG_INA2XX_ADC and CONFIG_SENSORS_IIO_HWMON (docs/board.md)"
        )
    return f"power leaves out {', '.join(missing)}: the board does not show these rails under {HWMON}"
