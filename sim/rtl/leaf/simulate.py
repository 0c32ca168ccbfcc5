"""Verilator and cocotb: the leaves' SystemVerilog against the golden model, a vector every cycle."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

from hls.spec.config import HardwareConfig
from host.errors import PeelVitError
from sim.rtl.leaf.vectors import SOURCES, Draw, joined, packed
from sim.rtl.leaf.verilog import Module
from sim.rtl.verilator import verilator_root

TOP = "leaves"
ROOT = Path(__file__).resolve().parents[3]


def environment(folder: Path) -> dict[str, str]:
    """What Verilator, its make and the bench find in the environment."""
    root = verilator_root()
    return {
        "VERILATOR_ROOT": str(root),
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
        # g++ needs the option by which a precompiled header is named; the package was configured without it.
        "MAKEFLAGS": f"-j{os.cpu_count()} CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1 OPT_GLOBAL=-O1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "PEELVIT_LEAVES": str(folder),
    }


def top(modules: Sequence[Module]) -> str:
    """One module with an instance of every leaf, its ports named leaf_port."""
    ports = ["input wire clk"]
    instances = []
    for module in modules:
        name = module.leaf.name
        widths = {port.name: port.bits for port in module.leaf.inputs}
        ports += [f"input wire [{bits - 1}:0] {name}_{port}" for port, bits in widths.items()]
        ports.append(f"output wire [{module.leaf.out_bits - 1}:0] {name}_out")
        wires = ", ".join(f".{port}({name}_{port})" for port in (*widths, "out"))
        instances.append(f"  {name} u_{name} (.clk(clk), {wires});")
    return "\n".join([f"module {TOP} (", "  " + ",\n  ".join(ports), ");", *instances, "endmodule", ""])


def simulate(
    config: HardwareConfig, modules: Sequence[Module], folder: Path, vectors: int, seed: int = 1
) -> dict[str, str]:
    """Run every leaf on `vectors` vectors of a seed; what failed, by leaf. All files go to `folder`."""
    from cocotb_tools.runner import get_runner

    folder.mkdir(parents=True, exist_ok=True)
    sources = {f"{module.leaf.name}.sv": module.text for module in modules} | {f"{TOP}.sv": top(modules)}
    for name, text in sources.items():
        path = folder / name
        if not path.is_file() or path.read_text() != text:  # an older file lets Verilator's make stand still
            path.write_text(text)
    (folder / "latencies.json").write_text(json.dumps({module.leaf.name: module.latency for module in modules}))
    for module in modules:
        inputs, outputs = SOURCES[module.leaf.name](Draw(config, vectors, seed))
        words = {port.name: packed(port, inputs[port.name]) for port in module.leaf.inputs}
        expected = joined(module.leaf.outputs, outputs)
        (folder / f"{module.leaf.name}.vectors").write_bytes(pickle.dumps((words, expected)))

    results = folder / "results.xml"
    results.unlink(missing_ok=True)
    with mock.patch.dict(os.environ, environment(folder)):
        runner = get_runner("verilator")
        try:
            runner.build(
                sources=[folder / name for name in sources], hdl_toplevel=TOP, build_dir=folder / "verilator",
                build_args=["-O3", "-Wno-fatal"], log_file=folder / "build.log",
            )  # fmt: skip
            with contextlib.suppress(SystemExit):  # cocotb: a test failed, and the results say which
                runner.test(
                    hdl_toplevel=TOP, test_module="sim.rtl.leaf.bench", build_dir=folder / "verilator", test_dir=folder,
                    results_xml=str(results), log_file=folder / "test.log",
                )  # fmt: skip
        except (RuntimeError, SystemExit):  # cocotb: a command failed
            raise PeelVitError(f"the leaves' RTL does not build or run; the messages are in {folder}/*.log") from None
    if not results.is_file():
        raise PeelVitError(f"the leaves' RTL did not run to its end; the messages are in {folder}/*.log")
    return failures(results, [module.leaf.name for module in modules])


def failures(results: Path, names: Sequence[str]) -> dict[str, str]:
    """Failed or missing tests by leaf, from cocotb's results (which number the leaves where they are many)."""
    found = dict.fromkeys(names, "did not run")
    for case in ElementTree.parse(results).iter("testcase"):
        fault = next((child for child in case if child.tag in ("failure", "error")), None)
        which = case.get("name", "").rpartition("=")[2]
        found[names[int(which)] if which.isdigit() else which] = "" if fault is None else str(fault.attrib)
    return {name: fault for name, fault in found.items() if fault}
