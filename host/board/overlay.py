"""Loading the bitstream, and making sure that what is in the fabric is this project's accelerator."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hls.spec import system
from hls.spec.config import HardwareConfig
from hls.spec.registers import register_words
from host.board.clock import check_wanted, forget_clocks, set_clock
from host.board.link import files_of, is_remote, pynq_module, quiet
from host.board_files import read_text
from host.errors import PeelVitError

ROOT = Path(__file__).resolve().parents[2]
VIRTUAL = "peelvit_virtual"
"""Design name of the virtual board's bitstreams."""

_NOT_IN_IP = {"cycles_low", "cycles_high"}  # the timer counts instead


@dataclass(frozen=True)
class Fabric:
    """What a loaded bitstream offers: registers by name, the timer where there is one, and the clock."""

    registers: dict[str, int]
    """Byte offsets by name, as `.hwh` has them."""
    mmio: Any
    timer: Any
    clock_mhz: float
    timed_mhz: float


def find_bitfile(config: HardwareConfig) -> Path:
    """The bitstream of a configuration: deployed, made by `make hw`, or the virtual board's; `PeelVitError` if none."""
    build = ROOT / "build" / config.name
    candidates = [ROOT / f"{config.name}.bit", *sorted(build.glob("**/output/*.bit")), build / "board" / "peelvit.bit"]
    for path in candidates:
        if path.is_file():
            return path
    raise PeelVitError(
        f"there is no bitstream of {config.name}; give --bitfile, run `make hw CONFIG={config.name}`, or start a "
        f"virtual board with `python -m sim.board --config {config.name}`"
    )


def load_overlay(device: Any, bitfile: Path, config: HardwareConfig, clk_mhz: float | None) -> Fabric:
    """Load `bitfile` and its `.hwh` into the fabric of `device` and set the clock.

    What the design was timed for stands in `.hwh`; pynq 3 does not show it, then it is what `config` was made for.
    """
    _check_files(bitfile, local=not is_remote(device))
    pynq = pynq_module()
    pynq.Device.active_device = device  # where pynq itself looks for registers while it loads
    forget_clocks(pynq.Clocks)
    with quiet(), _scratch_folder() as scratch, _own_state(scratch):
        overlay = pynq.Overlay(str(bitfile.resolve()), download=False, device=device)
        registers = _checked_registers(overlay.ip_dict, bitfile)
        timed = float(overlay.clock_dict[0].get("frequency") or config.clock_mhz)
        check_wanted(clk_mhz, timed)
        if "parser" in vars(overlay):  # pynq 3.1 and later
            overlay.parser._from_cache = True  # so that pynq does not write it into its package
        if is_remote(device):  # a file of that name on the board would be taken for this one
            overlay.binfile_name = f"peelvit_{hashlib.sha256(bitfile.read_bytes()).hexdigest()[:16]}.bin"
        overlay.download()
    state = read_text(files_of(device), "/sys/class/fpga_manager/fpga0/state")
    if state is not None and state not in ("operating", "unknown"):
        raise PeelVitError(f"the board's FPGA manager did not take {bitfile} ({state}); is it for this board?")
    clock = set_clock(pynq.Clocks, clk_mhz, timed)
    kernel = overlay.ip_dict[system.KERNEL.name]
    timer = overlay.ip_dict.get(system.TIMER.name)
    with quiet():
        return Fabric(
            registers,
            pynq.MMIO(kernel["phys_addr"], kernel["addr_range"], device=device),
            timer and pynq.MMIO(timer["phys_addr"], timer["addr_range"], device=device),
            clock,
            timed,
        )


def _check_files(bitfile: Path, local: bool) -> None:
    handoff = bitfile.with_suffix(".hwh")
    for path in (bitfile, handoff):
        if not path.is_file():
            raise PeelVitError(f"there is no {path}; PYNQ needs .bit and .hwh of one name beside each other")
    with bitfile.open("rb") as file:
        header = file.read(256)
    if local and VIRTUAL.encode() in header:
        raise PeelVitError(f"{bitfile} is a bitstream of the virtual board; give --board, or a --bitfile of `make hw`")


def _checked_registers(ip_dict: Any, bitfile: Path) -> dict[str, int]:
    """Offsets of the accelerator's registers by name; `PeelVitError` unless they are those of `hls.spec`."""
    handoff, block = bitfile.with_suffix(".hwh"), system.KERNEL
    if block.name not in ip_dict:
        raise PeelVitError(f"{handoff} has no block {block.name} but {', '.join(ip_dict)}; it is of another design")
    found = ip_dict[block.name]
    if found["type"] != block.vlnv:
        raise PeelVitError(
            f"the block {block.name} in {handoff} is {found['type']} but this version drives {block.vlnv}; "
            "use the bitstream that belongs to this version"
        )
    offsets = {name: int(register["address_offset"]) for name, register in found["registers"].items()}
    for word in register_words():
        if word.register.name not in _NOT_IN_IP and offsets.get(word.name) != word.offset:
            there = f"at {offsets[word.name]:#x}" if word.name in offsets else "missing"
            raise PeelVitError(
                f"the register {word.name} is {there} in {handoff} but belongs at {word.offset:#x}; "
                "that file is of another build: copy .bit and .hwh together"
            )
    return offsets


@contextmanager
def _scratch_folder() -> Iterator[str]:
    """A folder of its own as the current one: pynq leaves a file `loaded.xclbin` there."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)


@contextmanager
def _own_state(folder: str) -> Iterator[None]:
    """Let pynq keep what it knows of the fabric in `folder` instead of in its package.

    It would take the last `.hwh` that was loaded with the same `.bit` for the one that lies there now, and several
    processes would write the same files.
    """
    try:
        from pynq.pl_server import global_state
    except ImportError:  # pynq 3.0 and before keep nothing
        yield
        return
    before = global_state.STATE_DIR
    global_state.STATE_DIR = folder
    try:
        yield
    finally:
        global_state.STATE_DIR = before
