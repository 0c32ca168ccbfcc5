"""Build the bench for a design and run cocotb modules in it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

from hls.spec.config import HardwareConfig
from host.errors import PeelVitError
from sim.rtl.shell.build import TOP, WARNINGS, alone, folder_of, kernel_library
from sim.rtl.shell.render import AROUND, HERE, SHELL, sources, write
from sim.rtl.verilator import verilator_root

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Outcome:
    """One cocotb test: its module and name, what failed (empty: nothing), and seconds."""

    module: str
    name: str
    fault: str
    seconds: float


@dataclass(frozen=True)
class Design:
    """A verilated bench. `name` is shell, or what stands in its place."""

    config: HardwareConfig
    name: str
    folder: Path
    seconds: float
    """What the build took."""
    is_shell: bool = True
    """Or else exported RTL, which has its kernel inside and no DPI."""


def environment(folder: Path) -> dict[str, str]:
    """What Verilator and its make find in the environment."""
    root = verilator_root()
    cache = {"OBJCACHE": "ccache"} if _has("ccache") else {}
    return cache | {
        "VERILATOR_ROOT": str(root),
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
        # g++ needs the option by which a precompiled header is named; the package was configured without it.
        "MAKEFLAGS": f"-j{os.cpu_count()} CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1 OPT_GLOBAL=-O1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "PEELVIT_BENCH": str(folder),
    }


def _has(tool: str) -> bool:
    return any((Path(folder) / tool).is_file() for folder in os.environ["PATH"].split(os.pathsep))


def build(
    config: HardwareConfig, name: str = "shell", own: dict[str, str] | None = None, is_shell: bool = True
) -> Design:
    """Verilate the bench around the shell, or around the Verilog and data files `own` by name, in a folder `name`."""
    from cocotb_tools.runner import get_runner

    begin = time.perf_counter()
    folder = folder_of(config) / name
    files = sources(config)
    chosen = {each: files[each] for each in AROUND} | ({each: files[each] for each in SHELL} if own is None else own)
    verilog = [folder / each for each in chosen if each.endswith((".v", ".sv"))]
    with alone(folder), mock.patch.dict(os.environ, environment(folder)):
        write(folder, chosen)
        try:
            get_runner("verilator").build(
                sources=verilog, hdl_toplevel=TOP, build_dir=folder / "verilator",
                build_args=["-O3", "--timescale", "1ns/1ps", *WARNINGS, "-Wno-fatal", str(HERE / "dpi.cpp"),
                            "-LDFLAGS", "-ldl"],
                log_file=folder / "build.log",
            )  # fmt: skip
        except RuntimeError:  # cocotb: a command failed
            raise PeelVitError(f"the bench does not build; the messages are in {folder / 'build.log'}") from None
    return Design(config, name, folder, time.perf_counter() - begin, is_shell)


def simulate(design: Design, modules: Sequence[str], kernel: str = "kernel", only: str | None = None) -> list[Outcome]:
    """Run cocotb test modules of this package, in one simulation each; what each test said."""
    from cocotb_tools.runner import get_runner

    outcomes: list[Outcome] = []
    shown = design.folder / "config.json"
    shown.write_text(json.dumps(asdict(design.config)))
    library = str(kernel_library(design.config, kernel)) if design.is_shell else ""
    for module in modules:
        results = design.folder / f"{module}.xml"
        variables = environment(design.folder) | {
            "PEELVIT_KERNEL": library,
            "PEELVIT_BENCH_NAME": module,
            "PEELVIT_CONFIG": str(shown),
            "PEELVIT_DUT": "shell" if design.is_shell else "exported",
            "COCOTB_LOG_LEVEL": "WARNING",
        }
        with alone(design.folder), mock.patch.dict(os.environ, variables):
            results.unlink(missing_ok=True)
            os.environ.pop("PYTEST_CURRENT_TEST", None)  # under pytest, cocotb would end this process at a failed test
            runner = get_runner("verilator")
            try:
                runner.test(
                    test_module=f"sim.rtl.bench.{module}", hdl_toplevel=TOP, hdl_toplevel_lang="verilog", seed=1,
                    build_dir=design.folder / "verilator", test_dir=design.folder, results_xml=str(results),
                    log_file=design.folder / f"{module}.log", test_filter=only,
                )  # fmt: skip
            except (RuntimeError, SystemExit):
                raise PeelVitError(f"the simulation broke off; see {design.folder / module}.log") from None
            outcomes += _outcomes(results, module)
    return outcomes


def _outcomes(results: Path, module: str) -> list[Outcome]:
    found = []
    for case in ElementTree.parse(results).iter("testcase"):
        fault = next((child for child in case if child.tag in ("failure", "error")), None)
        text = "" if fault is None else fault.get("error_msg") or fault.get("message") or "failed"
        found.append(Outcome(module, case.get("name", ""), text, float(case.get("time", 0))))
    return found
