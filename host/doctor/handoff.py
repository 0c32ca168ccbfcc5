"""What a bitstream's two files say: the `.bit` header, and the `.hwh` as far as the accelerator goes.

Only the standard library: pynq's own parser may give what it kept of an older file.
"""

from __future__ import annotations

import datetime
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from hls.spec.system import KERNEL, MEMORY_PORTS
from host.errors import PeelVitError

_BIT_PREAMBLE = 13
_FOUR_GIB = 1 << 32


@dataclass(frozen=True)
class Handoff:
    """A `.hwh`.

    Attributes:
        registers: byte offsets of the accelerator's registers by name.
        address: where the processor sees them.
        clock_mhz: for which the accelerator was timed.
        memory_ports: the accelerator's memory ports, and how many of them reach above 4 GiB.
        made: when the block design was generated; None when it does not say.
    """

    registers: dict[str, int]
    address: int
    clock_mhz: float
    memory_ports: tuple[int, int]
    made: datetime.datetime | None


def read_handoff(path: Path) -> Handoff:
    """Read a `.hwh`; `PeelVitError` when it is none, or of a design without the accelerator."""
    try:
        tree = ElementTree.parse(path).getroot()
    except OSError as error:
        raise PeelVitError(f"cannot read {path} ({error.strerror}); copy it beside the bitstream") from None
    except ElementTree.ParseError:
        raise PeelVitError(f"{path} is no hardware handoff; copy the .hwh of the same build") from None
    modules = [module for module in tree.iter("MODULE") if module.get("VLNV") == KERNEL.vlnv]
    if not modules:
        raise PeelVitError(
            f"{path} has no {KERNEL.vlnv}: it is of another design or version; copy the .hwh of the same build"
        )
    kernel = modules[0]
    return Handoff(
        {register.get("NAME", ""): _property(register, "ADDRESS_OFFSET") for register in kernel.iter("REGISTER")},
        _address(tree, kernel.get("INSTANCE", "")),
        _clock_mhz(kernel),
        _memory_ports(kernel),
        _time(tree.get("TIMESTAMP", ""), "%a %b %d %H:%M:%S %Y"),
    )


def _property(element: ElementTree.Element, name: str) -> int:
    for found in element.iter("PROPERTY"):
        if found.get("NAME") == name:
            return int(found.get("VALUE", "0"), 0)
    return -1


def _address(tree: ElementTree.Element, instance: str) -> int:
    ranges = (found for found in tree.iter("MEMRANGE") if found.get("INSTANCE") == instance)
    return next((int(found.get("BASEVALUE", "0"), 0) for found in ranges), -1)


def _clock_mhz(kernel: ElementTree.Element) -> float:
    ports = (port for port in kernel.iter("PORT") if port.get("SIGIS") == "clk")
    return next((int(port.get("CLKFREQUENCY", "0")) / 1e6 for port in ports), 0.0)


def _memory_ports(kernel: ElementTree.Element) -> tuple[int, int]:
    masters = {port.master for port in MEMORY_PORTS}
    reaching = {
        found.get("MASTERBUSINTERFACE")
        for found in kernel.iter("MEMRANGE")
        if int(found.get("HIGHVALUE", "0"), 0) > _FOUR_GIB
    }
    return len(masters), len(masters & reaching)


def bit_time(path: Path) -> datetime.datetime | None:
    """When a bitstream was written, as its header says; None when it says nothing. `PeelVitError` without a file."""
    try:
        with path.open("rb") as file:
            header = file.read(4096)
    except OSError as error:
        raise PeelVitError(f"cannot read {path} ({error.strerror}); give --bitfile") from None
    fields: dict[str, str] = {}
    position = _BIT_PREAMBLE
    while position + 3 <= len(header) and chr(header[position]) in "abcd":
        size = int.from_bytes(header[position + 1 : position + 3], "big")
        content = header[position + 3 : position + 3 + size]
        fields[chr(header[position])] = content.rstrip(b"\0").decode(errors="replace")
        position += 3 + size
    return _time(f"{fields.get('c', '')} {fields.get('d', '')}", "%Y/%m/%d %H:%M:%S")


def _time(text: str, form: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime(" ".join(text.split()), form)
    except ValueError:
        return None
