"""Renders a configuration, reads its kernels, and compares what they take with what the device has."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from hls import render
from hls.area.assumptions import A
from hls.area.leaves import scales
from hls.area.memory import Array, bram36
from hls.area.module import Module
from hls.area.reader import Reader
from hls.lint.check import Options, unit_of
from hls.lint.source import RawPragma
from hls.spec.config import ConfigError, HardwareConfig
from hls.spec.devices import NAMES, Resources, device_of

TOP = "peelvit_top"
RESULT = "area.json"
_PORT_WORD = 128 + 2
_NAMES = {"dsp": "DSP slices", "bram36": "BRAM36", "lut": "LUTs", "ff": "flip-flops", "uram": "URAM"}


@dataclass
class Row:
    """A function instance: depth in the tree, its own resources and those with everything below it."""

    depth: int
    name: str
    own: Resources
    total: Resources


@dataclass
class Estimate:
    """What a configuration takes."""

    name: str
    part: str
    rows: list[Row]
    faults: list[str]
    """Accesses that memories have no ports for."""

    @property
    def total(self) -> Resources:
        """Of the whole accelerator."""
        return self.rows[0].total

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def estimate(config: HardwareConfig) -> Estimate:
    """Resources of a configuration, from its rendered source; kept in the build folder until source or tool change."""
    files = render.sources(config)
    folder = render.BUILD / config.name
    render.write(folder, files)
    key = _key(files)
    kept = folder / RESULT
    if kept.is_file() and (found := json.loads(kept.read_text()))["key"] == key:
        return _from_dict(found["estimate"])
    result = of_kernel(folder / "peelvit.cpp", TOP, config)
    scratch = kept.with_suffix(f".{os.getpid()}")  # another process may read the same estimate
    scratch.write_text(json.dumps({"key": key, "estimate": result.as_dict()}, indent=1) + "\n")
    os.replace(scratch, kept)
    return result


def of_kernel(source: Path, top: str, config: HardwareConfig) -> Estimate:
    """Resources of the function `top` of a C++ file and of its interface."""
    unit = unit_of(source, Options())
    reader = Reader(unit, top, config.clock_mhz, scales())
    rows = list(_rows(reader.top, reader.period, 0))
    arrays = {array for _, module in reader.top.walk() for array in module.arrays}
    faults = sorted({fault for array in arrays for fault in array.faults()})
    ports = [*_interface(unit.source.pragmas, reader.top), *_shared_ports(arrays)]
    whole = sum((port.total for port in ports), rows[0].total)
    top_row = Row(0, rows[0].name, rows[0].own, whole)
    return Estimate(config.name, config.part, [top_row, *ports, *rows[1:]], faults)


def _rows(module: Module, period: float, depth: int) -> Iterator[Row]:
    yield Row(depth, module.name, module.own(period), module.total(period))
    for child in module.children.values():
        yield from _rows(child, period, depth + 1)


def _shared_ports(arrays: set[Array]) -> Iterator[Row]:
    """Multiplexers in front of memories that several functions use."""
    shared = Resources(lut=sum(array.port_multiplexers() for array in arrays))
    if shared.lut:
        yield Row(1, "ports of shared memories", shared, shared)


def _interface(pragmas: list[RawPragma], top: Module) -> Iterator[Row]:
    """Adapters that the interface pragmas ask for."""
    text = [pragma.text for pragma in pragmas if " interface " in pragma.text]
    masters = [line for line in text if "m_axi" in line]
    registers = [line for line in text if "s_axilite" in line]
    for line in masters:
        burst, waiting = _option(line, "max_read_burst_length", 16), _option(line, "num_read_outstanding", 16)
        buffer = bram36(burst * waiting, _PORT_WORD)
        yield Row(1, "m_axi adapter", *[Resources(bram36=2 * buffer, lut=A["lut_a_port"], ff=A["ff_a_port"])] * 2)
    if registers:
        each = Resources(lut=A["lut_a_register"], ff=A["ff_a_register"])
        yield Row(1, "AXI-Lite registers", *[each * len(registers)] * 2)


def _option(text: str, name: str, default: int) -> int:
    found = re.search(rf"{name}\s*=\s*(\d+)", text)
    return int(found[1]) if found else default


def margins(result: Estimate) -> dict[str, tuple[float, float]]:
    """Used and available counts by resource that the device has; ConfigError for a device that the table lacks."""
    device = device_of(result.part)
    if device is None:
        raise ConfigError(
            f"configuration {result.name}: the device of part {result.part} is not in hls/spec/devices.py"
        )
    counts = {name: (getattr(result.total, name), getattr(device.gives, name)) for name in NAMES}
    return {name: (used, limit) for name, (used, limit) in counts.items() if used or limit}


def require_fit(result: Estimate) -> None:
    """ConfigError naming the resource that is short, the worst one first."""
    short = {name: used / max(limit, 1) for name, (used, limit) in margins(result).items() if used > limit}
    if short:
        name = max(short, key=lambda key: short[key])
        used, limit = margins(result)[name]
        raise ConfigError(
            f"configuration {result.name} needs about {used:,.0f} {_NAMES[name]} "
            f"and may take {limit:,.0f} of {result.part}"
        )


def _key(files: dict[str, str]) -> str:
    """Of the rendered source and of everything that reads it."""
    here = Path(__file__).parent
    tool = sorted([*here.glob("*.py"), *(here.parent / "lint").glob("*.py"), here.parent / "spec" / "devices.py"])
    parts = [json.dumps(files, sort_keys=True), repr(scales()), *(path.read_text() for path in tool)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _from_dict(found: dict) -> Estimate:
    rows = [Row(r["depth"], r["name"], Resources(**r["own"]), Resources(**r["total"])) for r in found["rows"]]
    return Estimate(found["name"], found["part"], rows, found["faults"])
