"""Bitstream and hardware handoff for the deployed folder: found, and checked to belong together."""

from __future__ import annotations

import shutil
from pathlib import Path

from hls.render import BUILD
from hls.spec.config import HardwareConfig
from hls.spec.system import TOP
from host.errors import PeelVitError

SUFFIXES = (".bit", ".hwh")


def find_bitfile(config: HardwareConfig) -> Path | None:
    """The bitstream that `make hw` wrote for the configuration; `PeelVitError` when there are several."""
    found = sorted((BUILD / config.name).glob("**/output/*.bit"))
    if len(found) > 1:
        raise PeelVitError(f"there are {len(found)} bitstreams of {config.name}; name one with --bitfile")
    return found[0] if found else None


def copy_bitstream(bitfile: Path, config: HardwareConfig, folder: Path) -> list[str]:
    """Copy `.bit` and `.hwh` under the configuration's name; their new names."""
    names = []
    for suffix in SUFFIXES:
        source = bitfile.with_suffix(suffix)
        if not source.is_file():
            raise PeelVitError(f"there is no {source}; PYNQ needs .bit and .hwh of one name beside each other")
        names.append(f"{config.name}{suffix}")
        shutil.copyfile(source, folder / names[-1])
    if TOP not in (folder / f"{config.name}.hwh").read_text(errors="replace"):
        raise PeelVitError(f"{bitfile.with_suffix('.hwh')} has no {TOP}; it is of another design")
    return names
