"""Compile and run the test bench with g++ as `csim_design` would: the same sources, flags and arguments."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from host.errors import PeelVitError
from sim.csim.build import ap_types
from vitis_project.check.scripts import Record, RefusedError
from vitis_project.project import BUILD

BUILDS = {"ap_int": (), "native": ("-DPEELVIT_NATIVE", "-fwrapv")}
"""Types as synthesis has them, and the native integers of the fast C simulation."""


def run_bench(folder: Path, record: Record, kind: str, build: str) -> str:
    """Run what a script's `csim_design` or `cosim_design` stands for in a rendered project.

    Args:
        kind: csim or cosim.
        build: of `BUILDS`; the open `ap_int.h` stands for the tool's own.

    Returns:
        What the test bench printed. `RefusedError` when it does not compile or does not pass.
    """
    given = [line[1] for line in record.of("arguments") if line[0] == kind]
    if len(given) != 1:
        raise RefusedError(f"the script runs {len(given)} {kind} simulations instead of one")
    program = _compiled(folder, [line[1:] for line in record.of("compile") if line[0] == kind], build)
    (arguments,) = given
    result = subprocess.run([program, *arguments.split()], cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode or "TEST BENCH PASSED" not in result.stdout:
        raise RefusedError(f"the test bench fails in the {build} build: {result.stdout.strip() or result.returncode}")
    return result.stdout


def _compiled(folder: Path, units: list[tuple[str, ...]], build: str) -> str:
    """Program of the translation units (path, flags); kept by the content of everything that it is made of."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise PeelVitError(f"the test bench needs the compiler {compiler}; install g++ (Debian: apt-get install g++)")
    extra = [*BUILDS[build], *(["-isystem", str(ap_types())] if build == "ap_int" else [])]
    content = "".join(
        path.read_text() for path in sorted(folder.rglob("*.?pp")) if path.relative_to(folder).parts[0] in ("src", "tb")
    )
    flags = [flags.replace(str(folder), "") for _, flags in units]
    key = hashlib.sha256(repr((content, flags, extra, compiler)).encode()).hexdigest()[:20]
    program = BUILD / "bench" / f"{build}-{key}"
    if program.is_file():
        return str(program)
    program.parent.mkdir(parents=True, exist_ok=True)
    objects = []
    for index, (path, given) in enumerate(units):
        objects.append(str(program.with_suffix(f".{index}.{os.getpid()}.o")))
        warnings = ["-Wno-unknown-pragmas", "-Wno-unused-label"]
        _call([compiler, "-O1", *given.split(), *warnings, *extra, "-c", path, "-o", objects[-1]], folder)
    scratch = program.with_suffix(f".{os.getpid()}")
    _call([compiler, *objects, "-o", str(scratch)], folder)
    for path in objects:
        Path(path).unlink()
    scratch.replace(program)
    return str(program)


def _call(command: list[str], folder: Path) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        first = next((line for line in result.stderr.splitlines() if "error" in line), result.stderr.strip())
        raise RefusedError(f"the test bench does not compile: {first}")
