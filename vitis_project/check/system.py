"""What the scripts leave behind, against what the project wants: addresses, wires, constants, files of one stem."""

from __future__ import annotations

import json
from pathlib import Path

from hls.spec import system
from vitis_project.check.scripts import Record, RefusedError
from vitis_project.project import Project


def check_results(project: Project, folder: Path, design: Record) -> None:
    """`RefusedError` for the first difference after all scripts have run in `folder`.

    Args:
        design: what the block design's script did.
    """
    for found, wanted, what in (
        (_addresses(design), wanted_addresses(project), "address"),
        (_ports(design), {port.master: port.port for port in system.MEMORY_PORTS}, "memory port"),
    ):
        different = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
        if different:
            key = different[0]
            raise RefusedError(f"design.tcl: the {what} of {key} is {found.get(key)}, hls.spec has {wanted.get(key)}")
    nets = set(design.of("net"))
    for source, sink in wanted_wires(project):
        if (source, sink) not in nets:
            raise RefusedError(f"design.tcl: {source} does not go to {sink}")
    constants = {cell: value for cell, name, value in design.of("parameter") if name == "CONST_VAL"}
    if int(constants["configuration"], 0) != project.config.hash % 2**32:
        raise RefusedError(f"design.tcl: the provenance block shows {constants['configuration']} as the hash")
    revision = json.loads((folder / "provenance.json").read_text())["revision"]
    if int(constants["revision"], 0) != int(revision[:8], 16):
        raise RefusedError(f"design.tcl: the provenance block shows {constants['revision']} as the revision {revision}")
    for name in wanted_files(project):
        if not (folder / name).is_file():
            raise RefusedError(f"the scripts end without {name}")


def wanted_addresses(project: Project) -> dict[str, tuple[int, int]]:
    """Offset and bytes of each segment, by address space and segment."""
    wanted = {
        f"{system.PROCESSOR}/Data {block.name}/{block.segment}": (block.offset, block.bytes) for block in system.BLOCKS
    }
    for port in system.MEMORY_PORTS:
        for part in project.memory:
            segment = f"{system.PROCESSOR}/SAXIGP{port.index}/{port.segment}_{part.segment}"
            wanted[f"{system.KERNEL.name}/Data_{port.master} {segment}"] = (part.offset, part.bytes)
    return wanted


def wanted_wires(project: Project) -> list[tuple[str, str]]:
    """Wires that validation does not miss: inputs of one kind that could be swapped, and one that may stay open."""
    kernel, timer, provenance = system.KERNEL.name, system.TIMER.name, system.PROVENANCE.name
    return [
        (f"{kernel}/interrupt", "requests/In0"),
        (f"{timer}/interrupt", "requests/In1"),
        (f"{kernel}/interrupt", f"{timer}/capturetrig0"),
        ("revision/dout", f"{provenance}/gpio_io_i"),
        ("configuration/dout", f"{provenance}/gpio2_io_i"),
        *([("clock/locked", "reset/dcm_locked")] if project.wizard else []),
    ]


def wanted_files(project: Project) -> list[str]:
    """What must be there in the end."""
    reports = [f"reports/{name}.rpt" for name in ("timing", "utilization", "utilization_by_module", "power")]
    endings = (".bit", ".hwh", ".xsa", ".json", "_config.json")
    return [*reports, *(f"output/{project.stem}{ending}" for ending in endings)]


def _addresses(design: Record) -> dict[str, tuple[int, int]]:
    return {f"{space} {segment}": (int(at), int(size)) for space, segment, at, size in design.of("address")}


def _ports(design: Record) -> dict[str, str]:
    """The processing system's port behind each memory master, through its interconnect."""
    buses = {line[0]: line[1] for line in design.of("bus")}
    found = {}
    for master, slave in buses.items():
        cell, _, name = master.partition("/")
        if cell == system.KERNEL.name:
            found[name] = buses.get(f"{slave.partition('/')[0]}/M00_AXI", "nothing").partition("/")[2]
    return found
