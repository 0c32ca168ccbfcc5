"""One project: a hardware configuration on a board at a clock, for a version of the tools; and the files it renders to.

Python computes, a template only places text. The same project gives the same bytes, whenever and wherever it is
rendered; a commit changes `provenance.json` and `revision.tcl` alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import subprocess
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import jinja2

from hls.render import sources
from hls.spec import instruction, system
from hls.spec.config import ConfigError, HardwareConfig, check
from hls.spec.devices import device_of
from hls.spec.formats import WORD_BYTES
from host.errors import PeelVitError
from sim.workload import load_hardware
from vitis_project.boards import CLOCKS_MHZ, REFERENCE_MHZ, Board, board_for, board_of
from vitis_project.tools import REFERENCE, Tool, tool
from vitis_project.vectors import MAGIC, vectors

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "hw"
TEMPLATES = Path(__file__).with_name("templates")
CFLAGS = "-std=c++14 -DPEELVIT_UNTIMED"
"""Of kernels and test bench; Vitis HLS 2021.1 compiles C++14."""
BENCH_FLAGS = "-Wno-unknown-pragmas -Wno-unused-label"
CASES = ("refused", "inference", "training")
COSIM_CASES = ("refused", "inference")
"""Co-simulation of a whole training step takes days; `make cosim COSIM_CASES=training` does it all the same."""
STRATEGIES = {
    "default": ("Vivado Implementation Defaults",),
    "all": (
        "Vivado Implementation Defaults",
        "Performance_Explore",
        "Performance_ExtraTimingOpt",
        "Performance_NetDelay_high",
        "Congestion_SpreadLogic_high",
    ),
}
_DEPTH = re.compile(r"#pragma HLS interface mode=m_axi .*\bdepth=(\d+)")


@dataclass(frozen=True)
class Project:
    """What `make hw` builds."""

    config: HardwareConfig
    board: Board
    tool: Tool
    strategies: tuple[str, ...] = STRATEGIES["default"]
    cosim_cases: tuple[str, ...] = COSIM_CASES

    @property
    def stem(self) -> str:
        """Name of the bitstream and of what lies beside it."""
        return f"peelvit_{self.config.name}"

    @property
    def folder(self) -> Path:
        """Where it is rendered and built."""
        return BUILD / f"{self.config.name}-{self.tool.version}"

    @property
    def solution(self) -> str:
        """Folder of Vitis HLS's results below the project's."""
        return "hls/hls" if self.tool.unified else "hls/solution"

    @property
    def wizard(self) -> bool:
        """Whether the clock needs a clock wizard: no divisor of the board's PLL gives it."""
        return self.board.pll_mhz % self.config.clock_mhz != 0

    @property
    def pl_mhz(self) -> int:
        """The processing system's PL clock."""
        return REFERENCE_MHZ if self.wizard else self.config.clock_mhz

    @property
    def memory(self) -> tuple[system.Range, ...]:
        """Memory of the board."""
        low, high = system.MEMORY
        if not self.board.high_bytes:
            return (low,)
        return (low, dataclasses.replace(high, bytes=self.board.high_bytes))

    @cached_property
    def kernels(self) -> dict[str, str]:
        """Rendered kernels by path, the cycle model left out (PEELVIT_UNTIMED)."""
        return {name: text for name, text in sources(self.config).items() if name != "model.hpp"}

    @property
    def scripts(self) -> tuple[str, ...]:
        """Names of the scripts, in the order in which they run."""
        hls = ("hls_config.cfg",) if self.tool.unified else ("hls.tcl", "cosim.tcl")
        return (*hls, "design.tcl", "bit.tcl", "reports.tcl")

    def files(self, revision: str | None = None, dirty: bool | None = None, golden: bool = True) -> dict[str, bytes]:
        """Everything by its path below the folder.

        Args:
            revision, dirty: git revision (40 hexadecimal digits) and whether files differ from it; git's if None.
            golden: make the golden vectors, which takes seconds; else they are empty files.
        """
        if revision is None or dirty is None:
            revision, dirty = git_revision()
        rendered = {f"src/{name}": text.encode() for name, text in self.kernels.items()}
        made = _vectors(self.config) if golden else dict.fromkeys(CASES, b"")
        rendered |= {f"tb/{name}.bin": data for name, data in made.items()}
        for name in self.scripts:
            rendered[name] = self._render(name, rendered).encode()
        rendered["tb/test_bench.cpp"] = self._render("test_bench.cpp", rendered).encode()
        rendered["config.json"] = config_json(self.config).encode()
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(rendered.items())}
        rendered["revision.tcl"] = _environment().get_template("revision.tcl.j2").render(
            revision=f"0x{revision[:8]}"
        ).encode()  # fmt: skip
        rendered["provenance.json"] = self._provenance(revision, dirty, hashes).encode()
        return dict(sorted(rendered.items()))

    def _render(self, name: str, rendered: dict[str, bytes]) -> str:
        return _environment().get_template(f"{name}.j2").render(self._context(rendered))

    def _context(self, rendered: dict[str, bytes]) -> dict[str, Any]:
        kernel = system.KERNEL.name
        others = [block for block in system.BLOCKS if block is not system.KERNEL]
        clocked = [
            f"{kernel}/ap_clk", f"{system.PROCESSOR}/maxihpm0_fpd_aclk", "control/aclk",
            *(f"{block.name}/s_axi_aclk" for block in others),
            *(f"memory{index}/aclk" for index in range(len(system.MEMORY_PORTS))),
            *(f"{system.PROCESSOR}/{port.clock}" for port in system.MEMORY_PORTS),
        ]  # fmt: skip
        return {
            "bench_flags": BENCH_FLAGS,
            "board": self.board,
            "cases": CASES,
            "cflags": CFLAGS,
            "clock_pin": "clock/clk_out1" if self.wizard else f"{system.PROCESSOR}/pl_clk0",
            "clocked": clocked,
            "config": self.config,
            "cosim_cases": self.cosim_cases,
            "depth": self._depth(),
            "implementation_flow": f"Vivado Implementation {self.tool.version[:4]}",
            "instruction": instruction,
            "ip_folder": f"{self.solution}/impl/ip",
            "magic": MAGIC,
            "memory": self.memory,
            "period": f"{1000 / self.config.clock_mhz:.3f}",
            "pl_mhz": self.pl_mhz,
            "stem": self.stem,
            "strategies": self.strategies,
            "system": system,
            "tool": self.tool,
            "vectors": [name for name in rendered if name.endswith(".bin")],
            "vlnv": system.KERNEL.vlnv.split(":"),
            "wizard": self.wizard,
            "word_bytes": WORD_BYTES,
        }

    def _depth(self) -> int:
        """Words of a memory port in co-simulation, as the kernels state it."""
        depths = {int(depth) for depth in _DEPTH.findall(self.kernels["peelvit.cpp"])}
        if len(depths) != 1:
            raise PeelVitError(f"the memory ports of peelvit.cpp must state one depth, not {sorted(depths)}")
        return depths.pop()

    def _provenance(self, revision: str, dirty: bool, hashes: dict[str, str]) -> str:
        content = {
            "configuration": self.config.name,
            "hash": f"{self.config.hash:016x}",
            "revision": revision,
            "modified": dirty,
            "board": self.board.name,
            "part": self.board.part,
            "clock_mhz": self.config.clock_mhz,
            "tool": self.tool.version,
            "sha256": hashes,
        }
        return json.dumps(content, indent=2) + "\n"


def make(
    config: str | Path = "zcu102",
    board: str = "",
    version: str = "",
    clock_mhz: int = 0,
    strategies: str = "default",
    cosim_cases: tuple[str, ...] = COSIM_CASES,
) -> Project:
    """A project by names; `PeelVitError` says what does not fit.

    Another board or clock than the configuration's makes another configuration, with a name and a hash of its own:
    programs for it are compiled with the `<stem>_config.json` that comes with its bitstream.
    """
    if strategies not in STRATEGIES:
        raise PeelVitError(f"there are no strategies {strategies}; choose {' or '.join(STRATEGIES)}")
    unknown = set(cosim_cases) - set(CASES)
    if unknown or not cosim_cases:
        raise PeelVitError(f"there are no test cases {sorted(unknown)}; the cases are {', '.join(CASES)}")
    hardware = load_hardware(str(config))
    chosen = board_of(board) if board else board_for(hardware.part)
    return Project(
        _adapted(hardware, chosen, clock_mhz), chosen, tool(version) if version else REFERENCE,
        STRATEGIES[strategies], cosim_cases,
    )  # fmt: skip


def _adapted(config: HardwareConfig, board: Board, clock_mhz: int) -> HardwareConfig:
    """The configuration for a board and clock; itself when both are its own."""
    name, device = config.name, device_of(board.part)
    if device is None:
        raise PeelVitError(f"the device of {board.part} is not in hls/spec/devices.py; add it")
    if board.part != config.part:
        name += f"-{board.name}"
    if clock_mhz and clock_mhz != config.clock_mhz:
        if clock_mhz not in CLOCKS_MHZ:
            raise PeelVitError(f"{clock_mhz} MHz is not offered; choose {', '.join(map(str, CLOCKS_MHZ))}")
        name += f"-{clock_mhz}"
    if name == config.name:
        return config
    adapted = dataclasses.replace(
        config, name=name, part=board.part, dsp=int(device.has.dsp), clock_mhz=clock_mhz or config.clock_mhz
    )
    try:
        check(adapted)
    except ConfigError as error:
        raise PeelVitError(str(error)) from None
    return adapted


def config_json(config: HardwareConfig) -> str:
    """The configuration as a file that `hls.spec.config.load` reads."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write `files` below `folder`; unchanged ones keep their time stamps, and rendered ones no longer wanted go."""
    for room, suffixes in ((folder / "src", (".hpp", ".cpp")), (folder / "tb", (".cpp", ".bin"))):
        for path in room.rglob("*") if room.is_dir() else ():
            if path.suffix in suffixes and path.relative_to(folder).as_posix() not in files:
                path.unlink()
    for name, data in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def git_revision() -> tuple[str, bool]:
    """Revision of the checkout and whether tracked files differ from it; zeros outside a checkout."""
    try:
        revision = _git("rev-parse", "HEAD")
        return revision, bool(_git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return "0" * 40, True


def _git(*arguments: str) -> str:
    result = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    return result.stdout.strip()


@lru_cache(maxsize=8)
def _vectors(config: HardwareConfig) -> dict[str, bytes]:
    made = {vector.name: vector.data for vector in vectors(config)}
    if tuple(made) != CASES:
        raise AssertionError(f"the test bench's cases are {list(made)}, the scripts name {CASES}")
    return made


def forget_vectors() -> None:
    """Make the golden vectors again when they are next asked for."""
    _vectors.cache_clear()


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Tcl and C++, not HTML
    )
