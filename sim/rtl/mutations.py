"""Plant faults in the shell, one at a time, and show that the benches catch each.

    python -m sim.rtl.mutations                  # all of them
    python -m sim.rtl.mutations wlast_dropped    # some

A fault is a replaced piece of SystemVerilog. The benches that should notice it run; when none of their tests fails, the
fault has survived, and so does the exit code.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

from hls.spec.config import HardwareConfig, load
from host.errors import PeelVitError, run_main
from sim.rtl.bench.__main__ import KERNELS
from sim.rtl.bench.recorded import record, save
from sim.rtl.bench.run import build, simulate
from sim.rtl.shell.render import SHELL, sources

REPORT = Path(__file__).resolve().parents[2] / "reports" / "rtl_mutations.json"


@dataclass(frozen=True)
class Mutation:
    """A fault: in `file`, `old` becomes `new`; the tests of `module` whose name matches `tests` should fail."""

    name: str
    file: str
    old: str
    new: str
    module: str
    tests: str


def _master(name: str, old: str, new: str, tests: str) -> Mutation:
    return Mutation(name, "axi_master.sv", old, new, "traffic", tests)


def _control(name: str, old: str, new: str, tests: str) -> Mutation:
    return Mutation(name, "control.sv", old, new, "registers", tests)


LENGTHS, WAITING, ERRORS = "lengths_and_ports", r"waiting/pattern=[1-5]$", "every_port_reports_errors"

MUTATIONS: tuple[Mutation, ...] = (
    _master("wlast_dropped", "wlast  <= last;", "wlast  <= 1'b0;", LENGTHS),
    _master("wlast_early", "wlast  <= last;", "wlast  <= last || sent == 9'd2;", LENGTHS),
    _master("arlen_one_more", "8'(read_beats - 9'd1)", "8'(read_beats)", LENGTHS),
    _master("awlen_one_less", "8'(write_beats - 9'd1)", "8'(write_beats - 9'd1 - 9'(write_beats != 1))", LENGTHS),
    _master("read_error_ignored", "rvalid && rready && rresp[1] ? rresp", "1'b0 ? rresp", ERRORS),
    _master("write_error_ignored", "bvalid && bready && bresp[1] ? bresp", "1'b0 ? bresp", ERRORS),
    _master("strobe_lost", "wstrb  <= word_strobe;", "wstrb  <= {1'b0, word_strobe[14:0]};", LENGTHS),
    _master("strobes_ignored", "wstrb  <= word_strobe;", "wstrb  <= 16'hFFFF;", "byte_strobes"),
    _master("crosses_4k", "9'(256 - 32'(address[11:4]))", "9'd256", "boundaries"),
    _master("burst_too_long", "most = 9'(MAX_BURST);", "most = 9'(MAX_BURST + 1);", LENGTHS),
    _master("too_many_reads", "reads < count_t'(OUTSTANDING)", "1'b1", "outstanding"),
    _master("address_high_half_lost", "{start[63:4], 4'b0000}", "{32'b0, start[31:4], 4'b0000}", LENGTHS),
    _master("request_withdrawn", "end else if (awready) begin", "end else begin", WAITING),
    _master("word_overwritten", "unsent != 0 && (!wvalid || wready)", "unsent != 0", WAITING),
    _master("request_survives_reset", "            arvalid   <= 1'b0;\n            rready", "            rready",
            "reset_in_the_middle"),
    _control("window_offset", "WINDOW_WORDS = 12'h04c", "WINDOW_WORDS = 12'h050", "arguments|a_run_ends"),
    _control("interrupt_without_gie", "gie && isr != 0", "isr != 0", "interrupts"),
    _control("done_not_cleared", "    finished <= 1'b0;", "    finished <= finished;", "a_run_ends"),
    _control("register_strobes_ignored", "wstrb[lane] ? wdata", "1'b1 ? wdata", "byte_strobes"),
    Mutation("port_base_crossed", "peelvit_top.sv", ".base(mem[2])", ".base(mem[1])", "traffic", "each_port"),
    Mutation("status_swapped", "peelvit_top.sv", "{hash_high, hash_low, failed_instruction, status} <= results",
             "{hash_high, hash_low, status, failed_instruction} <= results", "registers", "a_run_ends"),
    Mutation("bit_flipped", "peelvit_top.sv", "data_valid[port], data[port], 32'(answered",
             "data_valid[port], data[port] ^ 128'(cycles[6:0] == 7'd5), 32'(answered", "programs",
             "equals_golden/case=0"),
)  # fmt: skip
BY_NAME = {mutation.name: mutation for mutation in MUTATIONS}


def mutated(config: HardwareConfig, mutation: Mutation) -> dict[str, str]:
    """The shell's files with the fault in them; `ValueError` when its place is not there exactly once."""
    files = sources(config)
    if (count := files[mutation.file].count(mutation.old)) != 1:
        raise ValueError(f"{mutation.name}: {mutation.file} has {mutation.old!r} {count} times")
    files[mutation.file] = files[mutation.file].replace(mutation.old, mutation.new)
    return {name: files[name] for name in SHELL}


def caught_by(config: HardwareConfig, mutation: Mutation) -> list[str]:
    """Names of the tests that fail on the shell with the fault."""
    design = build(config, f"mutants/{mutation.name}", mutated(config, mutation))
    if mutation.module == "programs":
        for name, recorded in record(config).items():
            save(design.folder / f"{name}.npz", recorded)
    outcomes = simulate(design, [mutation.module], KERNELS[mutation.module], mutation.tests)
    if not outcomes:
        raise PeelVitError(f"{mutation.name}: no test of {mutation.module} matches {mutation.tests}")
    return [outcome.name for outcome in outcomes if outcome.fault]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m sim.rtl.mutations", description="Plant faults in the shell.")
    parser.add_argument("names", nargs="*", help="all when left out")
    parser.add_argument("--config", default="toy")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(BY_NAME)):
        raise PeelVitError(f"there is no mutation {unknown[0]}; choose from {', '.join(BY_NAME)}")
    config, results = load(options.config), {}
    for name in options.names or BY_NAME:
        begin = time.perf_counter()
        failed = caught_by(config, BY_NAME[name])
        results[name] = failed
        verdict = f"caught by {len(failed)} tests, {failed[0]} first" if failed else "SURVIVED"
        print(f"{name:26} {verdict} ({time.perf_counter() - begin:.0f} s)", flush=True)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(results, indent=1) + "\n")
    if survived := [name for name, failed in results.items() if not failed]:
        raise PeelVitError(f"{len(survived)} of {len(results)} faults survived: {', '.join(survived)}")
    print(f"all {len(results)} faults were caught")


if __name__ == "__main__":
    run_main(main)
