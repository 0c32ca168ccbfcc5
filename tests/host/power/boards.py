"""A folder that stands for a board's /sys/class/hwmon."""

from __future__ import annotations

from pathlib import Path

from host.power.rails import HWMON, RAILS


def hwmon(root: Path) -> Path:
    return root / HWMON.lstrip("/")


def write_rail(root: Path, number: int, monitor: str, millivolts: int, milliamperes: int) -> Path:
    """A monitor as the IIO bridge shows it."""
    folder = hwmon(root) / f"hwmon{number}"
    entries = {"in1_input": 1, "in2_input": millivolts, "curr1_input": milliamperes, "power1_input": 0}
    return write_folder(folder, {"name": f"ina226_{monitor}", **entries})


def write_folder(folder: Path, entries: dict[str, object]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in entries.items():
        (folder / name).write_text(f"{value}\n")
    return folder


def write_all_rails(root: Path, millivolts: int = 1000, milliamperes: int = 100) -> None:
    """Every rail, numbered backwards among other sensors."""
    write_folder(hwmon(root) / "hwmon0", {"name": "ams", "in2_input": 5})
    for number, monitor in enumerate(reversed(RAILS), start=2):
        write_rail(root, number, monitor, millivolts, milliamperes)
