"""Registers and memory masters in three descriptions: the table of `hls.spec`, the IP's IP-XACT, the board's `.hwh`."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from hls.spec import system
from hls.spec.config import HardwareConfig
from host.errors import PeelVitError
from sim.board.hwh import hardware_words, render_hwh

_SPIRIT = re.compile(r"\{[^}]*\}")


def expected() -> dict[str, int]:
    """Byte offset of every 32-bit register that the IP must have, by the tool's names."""
    return {word.name: word.offset for word in hardware_words()}


def read_component(path: Path) -> tuple[dict[str, int], set[str]]:
    """Registers by offset and the names of the bus interfaces of an IP-XACT file (`component.xml`)."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise PeelVitError(f"{path} is no IP-XACT file ({error}); run `make hls` again") from None
    for element in root.iter():
        element.tag = _SPIRIT.sub("", element.tag)
    registers = {
        register.findtext("name", ""): int(register.findtext("addressOffset", "0"), 0)
        for register in root.iter("register")
    }
    return registers, {bus.findtext("name", "") for bus in root.iter("busInterface")}


def compare_registers(found: Mapping[str, int], where: str) -> list[str]:
    """A sentence for every register that is missing, elsewhere, or unknown; valid bits of results are no registers."""
    wanted = expected()
    missing = [f"{where} lacks register {name}" for name in wanted if name not in found]
    moved = [
        f"{where} has register {name} at 0x{found[name]:x}, the register map at 0x{offset:x}"
        for name, offset in wanted.items()
        if name in found and found[name] != offset
    ]
    unknown = [
        f"{where} has register {name}, which the register map does not"
        for name in found
        if name not in wanted and not (name.endswith("_ctrl") and name.removesuffix("_ctrl") in wanted)
    ]
    return missing + moved + unknown


def check_component(path: Path) -> list[str]:
    """What differs between an IP-XACT file and `hls.spec`, in sentences."""
    registers, buses = read_component(path)
    wanted = {system.KERNEL.interface, *(port.master for port in system.MEMORY_PORTS)}
    return compare_registers(registers, "the IP") + [
        f"the IP lacks the interface {name}" for name in sorted(wanted - buses)
    ]


def read_handoff(path: Path) -> tuple[dict[str, int], dict[str, tuple[int, int]]]:
    """The accelerator's registers in a `.hwh`, and (address, last address) of every block that the processor sees."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise PeelVitError(f"{path} is no hardware handoff file ({error}); run `make bit` again") from None
    registers: dict[str, int] = {}
    blocks: dict[str, tuple[int, int]] = {}
    for module in root.iter("MODULE"):
        if module.get("MODTYPE") == system.TOP:
            for register in module.iter("REGISTER"):
                offsets = [p.get("VALUE", "0") for p in register.iter("PROPERTY") if p.get("NAME") == "ADDRESS_OFFSET"]
                registers[register.get("NAME", "")] = int(offsets[0], 0)
        if module.get("MODTYPE") == "zynq_ultra_ps_e":
            for item in module.iter("MEMRANGE"):
                low, high = (int(item.get(key, "0"), 0) for key in ("BASEVALUE", "HIGHVALUE"))
                blocks[item.get("INSTANCE", "")] = (low, high)
    return registers, blocks


def check_handoff(path: Path) -> list[str]:
    """What differs between a `.hwh` and `hls.spec`, in sentences."""
    registers, blocks = read_handoff(path)
    found = compare_registers(registers, "the .hwh")
    for block in system.BLOCKS:
        wanted = (block.offset, block.offset + block.bytes - 1)
        if blocks.get(block.name) != wanted:
            found.append(f"the .hwh has {block.name} at {_text(blocks.get(block.name))}, hls.spec at {_text(wanted)}")
    return found


def _text(addresses: tuple[int, int] | None) -> str:
    return "no address" if addresses is None else f"0x{addresses[0]:X} to 0x{addresses[1]:X}"


def check_virtual_board(config: HardwareConfig, folder: Path) -> list[str]:
    """What differs between the virtual board's `.hwh`, read as PYNQ reads a real one, and `hls.spec`, in sentences."""
    path = folder / "virtual_board.hwh"
    path.write_text(render_hwh(config))
    found = check_handoff(path)
    blocks, registers = _as_pynq_sees(path)
    for block in system.BLOCKS:
        if blocks.get(block.name) != (block.vlnv, block.offset, block.bytes):
            found.append(f"pynqmetadata reads {block.name} as {blocks.get(block.name)} in the virtual board's .hwh")
    return found + compare_registers(registers, "pynqmetadata's view of the virtual board")


def _as_pynq_sees(path: Path) -> tuple[dict[str, tuple[str, int, int]], dict[str, int]]:
    """Type, address and size of every block, and the accelerator's registers, by pynqmetadata."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pynqmetadata uses what pydantic calls old
        try:
            from pynqmetadata.frontends import Metadata
            from pynqmetadata.views.runtime import RuntimeMetadataParser
        except ImportError:
            raise PeelVitError("reading a .hwh as PYNQ does needs the package pynqmetadata; run `make setup`") from None
        view = RuntimeMetadataParser(Metadata(input=path))
    known = {block.name: view.ip_dict[block.name] for block in system.BLOCKS if block.name in view.ip_dict}
    blocks = {name: (ip["type"], ip["phys_addr"], ip["addr_range"]) for name, ip in known.items()}
    registers = view.ip_dict[system.KERNEL.name]["registers"]
    return blocks, {name: register["address_offset"] for name, register in registers.items()}
