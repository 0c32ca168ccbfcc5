"""C++ -> LLVM IR: clang compiles `leaves.cpp` with the headers of a rendered configuration."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from hls.render import BUILD, sources, write
from hls.spec.config import HardwareConfig
from host.errors import PeelVitError

SOURCE = Path(__file__).with_name("leaves.cpp")
COMPILERS = ("clang++-16", "clang++-15", "clang++-17", "clang++-18", "clang++-19")
# Native integers; everything is inlined and unrolled, and nothing is made into vectors.
FLAGS = [
    "-std=c++17", "-O2", "-fwrapv", "-DPEELVIT_NATIVE", "-DPEELVIT_EXACT_WIDTHS", "-D__SYNTHESIS__",
    "-fno-discard-value-names", "-fno-vectorize", "-fno-slp-vectorize", "-fno-jump-tables",
    "-mllvm", "-inline-threshold=1000000", "-mllvm", "-unroll-threshold=1000000",
    "-Wno-unknown-pragmas", "-Wno-unused-label",
]  # fmt: skip


def compiler() -> str:
    """The clang++ to use."""
    for name in COMPILERS:
        if shutil.which(name):
            return name
    raise PeelVitError("the leaf datapaths need clang++ 15 to 19; install it (Debian: apt-get install clang-16)")


def compile_leaves(config: HardwareConfig) -> str:
    """LLVM IR of all leaves of a configuration, which is rendered first."""
    folder = BUILD / config.name
    write(folder, sources(config))
    command = [compiler(), *FLAGS, f"-I{folder}", "-S", "-emit-llvm", str(SOURCE), "-o", "-"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise PeelVitError(f"clang does not compile the leaves of {config.name}: {result.stderr.splitlines()[0]}")
    return result.stdout
