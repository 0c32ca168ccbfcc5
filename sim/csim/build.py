"""Build the C simulation of a configuration: g++ makes the rendered kernels into a library.

    python -m sim.csim build zcu102 --variant fast

Two variants of one source, held equal by the tests: `fast` (native integers) and `fidelity` (ap_int, as Vitis HLS
compiles it). `sanitized` is `fast` under the address and undefined-behaviour sanitizers, `checked` is `fast` with FIFOs
that notice what is not in order (hls/include/fifos.hpp).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from hls.render import BUILD, sources, write
from hls.spec.config import HardwareConfig
from host.errors import PeelVitError

API = Path(__file__).with_name("api.cpp")
VARIANTS = ("fast", "fidelity", "sanitized", "checked")
COMMON = ["-std=c++17", "-fPIC", "-shared", "-fwrapv", "-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Wno-unused-label",
          "-Wno-unused-variable", "-Wno-unused-parameter", "-fvisibility=hidden"]  # fmt: skip
FLAGS = {
    "fast": ["-O3", "-march=native", "-DPEELVIT_NATIVE"],
    "fidelity": ["-O2"],
    "checked": ["-O1", "-DPEELVIT_NATIVE", "-DPEELVIT_CHECKS_FIFOS"],
    "sanitized": ["-O1", "-g", "-DPEELVIT_NATIVE", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
}


def ap_types() -> Path:
    """Folder of the open `ap_int.h` that the hls4ml package carries (found without importing the package)."""
    spec = importlib.util.find_spec("hls4ml")
    folder = (
        Path(spec.submodule_search_locations[0]) / "templates/vivado/ap_types"
        if spec and spec.submodule_search_locations
        else None
    )
    if folder is None or not folder.is_dir():
        raise PeelVitError("the fidelity C simulation needs ap_int.h from the Python package hls4ml; run `make setup`")
    return folder


def library(config: HardwareConfig, variant: str) -> Path:
    """Where the library of a configuration lies."""
    return BUILD / config.name / f"libpeelvit_{variant}.so"


def compiler() -> str:
    """The C++ compiler."""
    name = os.environ.get("CXX", "g++")
    if shutil.which(name) is None:
        raise PeelVitError(f"the C simulation needs the compiler {name}; install g++ (Debian: apt-get install g++)")
    return name


def _machine() -> str:
    """What -march=native depends on, so that a checkout shared between machines is built anew."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        return ""


def build(config: HardwareConfig, variant: str = "fast") -> Path:
    """Render and compile; nothing is done when the same sources were compiled by the same command before."""
    system = ["-isystem", str(ap_types())] if variant == "fidelity" else []
    return compiled(config, API, library(config, variant), [*FLAGS[variant], *system])


def compiled(config: HardwareConfig, api: Path, output: Path, flags: list[str]) -> Path:
    """Render the kernels and compile `api`, which includes them, into the library `output`, if that is out of date."""
    files = sources(config)
    folder = BUILD / config.name
    write(folder, files)
    scratch = output.with_suffix(f".{os.getpid()}.tmp")
    command = [compiler(), *COMMON, *flags, f"-I{folder}", str(api), "-o", str(scratch)]
    beside = [path.read_text() for path in sorted(api.parent.glob("*.hpp"))]
    content = [*files.values(), api.read_text(), *beside, *command[:-1], _machine()]
    key = hashlib.sha256("\0".join(content).encode()).hexdigest()
    stamp = output.with_suffix(".key")
    if output.is_file() and stamp.is_file() and stamp.read_text() == key:
        return output
    output.parent.mkdir(parents=True, exist_ok=True)
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        log = output.with_suffix(".log")
        log.write_text(result.stderr)
        raise PeelVitError(f"compiling {output.stem} of {config.name} failed; the compiler's messages are in {log}")
    os.replace(scratch, output)
    stamp.write_text(key)
    return output
