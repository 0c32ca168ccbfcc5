"""Verilate the shell, compile the kernels that run behind it, and link both into a library.

python -m sim.rtl.shell.build toy
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hls.render import BUILD
from hls.spec.config import HardwareConfig
from host.errors import PeelVitError
from sim.csim.build import FLAGS, compiled, compiler
from sim.rtl.shell.render import AROUND, HERE, SHELL, sources, write
from sim.rtl.verilator import verilator_root

TOP = "peelvit_bench"
WARNINGS = ("-Wall", "-Wno-UNUSEDSIGNAL", "-Wno-BLKSEQ", "-Wno-DECLFILENAME", "-Wno-SYMRSVDWORD",
            "-Wno-PINCONNECTEMPTY")  # fmt: skip
"""All of Verilator's, but: ports that AXI has and nobody needs, the DPI calls in a clocked block, names of files."""


def folder_of(config: HardwareConfig) -> Path:
    """Where everything about a configuration's shell lies."""
    return BUILD / "rtl" / config.name


def kernel_library(config: HardwareConfig, kernel: str = "kernel") -> Path:
    """The C++ behind the shell, compiled: the accelerator, or `traffic`, a copier for the benches."""
    output = BUILD / config.name / f"libshell_{kernel}.so"
    return compiled(config, HERE / f"{kernel}.cpp", output, [*FLAGS["fast"], f"-I{HERE}"])


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process at a time builds or runs what lies in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(command: list[str], folder: Path, log: str, what: str) -> None:
    """Run a tool in `folder`; `PeelVitError` names the log where it fails."""
    environment = os.environ | {"VERILATOR_ROOT": str(verilator_root())}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    (folder / log).write_text(result.stdout + result.stderr)
    if result.returncode != 0:
        raise PeelVitError(f"{what} failed; the messages are in {folder / log}")


def shell_library(config: HardwareConfig) -> Path:
    """The verilated shell with its clock and memory (harness.cpp), ready for ctypes; built when it is out of date."""
    with alone(folder_of(config)):
        return _shell_library(config, folder_of(config))


def _shell_library(config: HardwareConfig, folder: Path) -> Path:
    files = sources(config)
    own = {name: (HERE / name).read_text() for name in ("harness.cpp", "dpi.cpp")}
    key = hashlib.sha256("\0".join([*files.values(), *own.values()]).encode()).hexdigest()
    output, stamp = folder / "libshell.so", folder / "libshell.key"
    if output.is_file() and stamp.is_file() and stamp.read_text() == key:
        return output
    write(folder, files)
    root = verilator_root()
    verilate = [str(root / "bin/verilator"), "--cc", "-O3", "--x-assign", "fast", "--top-module", TOP, "--Mdir", "cc",
                *WARNINGS, *SHELL, *AROUND]  # fmt: skip
    run(verilate, folder, "verilate.log", f"verilating the shell of {config.name}")
    include = root / "include"
    parts = [HERE / "harness.cpp", HERE / "dpi.cpp", *sorted((folder / "cc").glob("*.cpp")),
             *(include / f"verilated{name}.cpp" for name in ("", "_dpi", "_threads"))]  # fmt: skip
    objects = [_object(folder, part) for part in parts]
    link = [compiler(), "-shared", "-o", str(output), *objects, "-ldl", "-pthread"]
    run(link, folder, "link.log", f"linking the shell of {config.name}")
    stamp.write_text(key)
    return output


def _object(folder: Path, source: Path) -> str:
    """Compile one source, through ccache where it is there."""
    include = verilator_root() / "include"
    cache = ["ccache"] if shutil.which("ccache") else []
    output = folder / "cc" / f"{source.stem}.o"
    command = [*cache, compiler(), "-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", f"-I{folder / 'cc'}",
               f"-I{include}", f"-I{include / 'vltstd'}", "-c", str(source), "-o", str(output)]  # fmt: skip
    run(command, folder, f"cc/{source.stem}.log", f"compiling {source.name}")
    return str(output)
