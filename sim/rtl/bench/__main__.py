"""``python -m sim.rtl.bench``: build the benches, run them, print what they covered.

python -m sim.rtl.bench                                   # the shell
python -m sim.rtl.bench --dut vitis --rtl-dir EXPORTED    # Verilog that Vitis HLS exported
python -m sim.rtl.bench --modules registers --only interrupt
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from hls.spec.config import ConfigError, HardwareConfig, load
from host.errors import PeelVitError, run_main
from sim.rtl.bench import coverage
from sim.rtl.bench.exported import exported
from sim.rtl.bench.recorded import record, save
from sim.rtl.bench.run import Design, Outcome, build, simulate

KERNELS = {"registers": "kernel", "traffic": "traffic", "programs": "kernel"}
"""Modules of tests, and the kernel that the shell has behind it in them; exported RTL has its own, and no traffic."""
REPORT = Path(__file__).resolve().parents[3] / "reports" / "rtl.json"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m sim.rtl.bench", description="Run the cocotb benches.")
    parser.add_argument("--config", default="toy", help="hardware configuration (its RTL, for exported designs)")
    parser.add_argument("--dut", choices=["shell", "vitis"], default="shell")
    parser.add_argument("--rtl-dir", type=Path, help="folder of the exported Verilog")
    parser.add_argument("--modules", nargs="+", choices=list(KERNELS), help="all when left out")
    parser.add_argument("--only", help="tests whose name matches this regular expression")
    parser.add_argument("--report", type=Path, default=REPORT)
    options = parser.parse_args()
    try:
        config = load(options.config)
    except ConfigError as error:
        raise PeelVitError(str(error)) from None
    if (options.dut == "vitis") != (options.rtl_dir is not None):
        raise PeelVitError("exported RTL needs --dut vitis and --rtl-dir (make rtl DUT=vitis RTL_DIR=folder)")
    modules = options.modules or [name for name in KERNELS if options.dut == "shell" or name != "traffic"]
    if options.dut == "vitis" and "traffic" in modules:
        raise PeelVitError("the traffic tests need the copying kernel behind the shell; exported RTL runs the others")
    own = exported(options.rtl_dir) if options.rtl_dir else None
    design = build(config, options.dut, own, is_shell=own is None)
    print(f"built {options.dut} of {config.name} in {design.seconds:.1f} s", flush=True)
    report = run(config, design, modules, options.only)
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(json.dumps(report, indent=1) + "\n")
    if report["failed"] or not report["tests"]:
        raise PeelVitError(f"{report['failed']} of {report['tests']} tests failed; logs are in {design.folder}")
    whole = options.only is None and options.modules is None and options.dut == "shell"
    if whole and report["holes"]:
        raise PeelVitError(f"{len(report['holes'])} bins were not covered, the first is {report['holes'][0]}")


def run(config: HardwareConfig, design: Design, modules: list[str], only: str | None) -> dict[str, Any]:
    """Run the modules and print the results; the report."""
    begin = time.perf_counter()
    (design.folder / "cycles.jsonl").unlink(missing_ok=True)
    if "programs" in modules:
        for name, recorded in record(config).items():
            save(design.folder / f"{name}.npz", recorded)
    outcomes: list[Outcome] = []
    for module in modules:
        (design.folder / f"coverage.{module}.json").unlink(missing_ok=True)
        found = simulate(design, [module], KERNELS[module], only)
        failed = [outcome for outcome in found if outcome.fault]
        print(f"{module}: {len(found)} tests, {len(failed)} failed", flush=True)
        for outcome in failed:
            print(f"  {outcome.name}: {outcome.fault.splitlines()[0]}")
        outcomes += found
    counts = coverage.collected(design.folder, modules)
    cycles = design.folder / "cycles.jsonl"
    lines = [json.loads(line) for line in cycles.read_text().splitlines()] if cycles.is_file() else []
    print(coverage.table(counts))
    for line in lines:
        print(f"{line['program']:10} memory waits: {line['memory']:22} modelled {line['modelled']:>7} cycles, "
              f"measured {line['measured']:>7}")  # fmt: skip
    seconds = time.perf_counter() - begin
    print(f"{len(outcomes)} tests in {seconds:.1f} s, build {design.seconds:.1f} s")
    return {
        "config": config.name,
        "design": design.name,
        "tests": len(outcomes),
        "failed": sum(bool(outcome.fault) for outcome in outcomes),
        "faults": {f"{o.module}.{o.name}": o.fault for o in outcomes if o.fault},
        "build_seconds": round(design.seconds, 1),
        "seconds": round(seconds, 1),
        "cycles": lines,
        "coverage": coverage.as_json(counts),
        "holes": coverage.holes(counts),
    }


if __name__ == "__main__":
    run_main(main)
