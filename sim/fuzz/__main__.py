"""``python -m sim.fuzz --count 10000 --variant sanitized --seed 0``.

The mutations run in a process of their own, so that one that crashes or hangs is named by its seed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections import Counter

from tqdm import tqdm

from host.errors import PeelVitError, run_main
from sim.csim import VARIANTS, build
from sim.fuzz.guarded import EscapeError, GuardedDevice
from sim.fuzz.trial import VerdictError, compiled_bases, run_trial
from sim.workload import load_hardware

SECONDS = 120
"""Longest that one program may run."""
EXIT_FAILED = 1


def main() -> int:
    """Command line; 1 when a mutation fails."""
    parser = argparse.ArgumentParser(prog="python -m sim.fuzz", description="Run randomly mutated programs.")
    parser.add_argument("--count", type=int, default=10_000, help="mutated programs")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first one; each has the next seed")
    parser.add_argument("--config", default="toy", help="hardware configuration")
    parser.add_argument("--variant", choices=VARIANTS, default="fast")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.count < 1 or options.seed < 0:
        raise PeelVitError("give at least one program and a seed from 0")
    return _work(options) if options.worker else _supervise(options)


def _work(options: argparse.Namespace) -> int:
    """Print each seed before its run and the status after it."""
    device = GuardedDevice(load_hardware(options.config), options.variant)
    bases = compiled_bases(device)
    for seed in range(options.seed, options.seed + options.count):
        print(seed, end=" ", flush=True)
        signal.alarm(SECONDS)
        try:
            result = run_trial(device, bases[seed % len(bases)], seed)
        except (VerdictError, EscapeError) as error:
            print(error, file=sys.stderr)
            return EXIT_FAILED
        print(result.status.name, flush=True)
    return 0


def _supervise(options: argparse.Namespace) -> int:
    build(load_hardware(options.config), options.variant)
    command = [sys.executable, "-m", "sim.fuzz", "--worker"]
    for name in ("count", "seed", "config", "variant"):
        command += [f"--{name}", str(getattr(options, name))]
    environment = os.environ | (_sanitizers() if options.variant == "sanitized" else {})
    statuses: Counter[str] = Counter()
    line = ""
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        for line in tqdm(worker.stdout, total=options.count, unit="program", disable=None):
            statuses.update(line.split()[1:])
    if worker.returncode:
        seed = int(line.split()[0]) if line else options.seed
        again = f"python -m sim.fuzz --config {options.config} --variant {options.variant} --count 1 --seed {seed}"
        print(f"failed with seed {seed} ({_end(worker.returncode)}); again: {again}", file=sys.stderr)
        return EXIT_FAILED
    ends = ", ".join(f"{name} {count}" for name, count in statuses.most_common())
    print(f"{options.count} mutated programs ({options.variant}) stayed in their window and ended as specified: {ends}")
    return 0


def _end(code: int) -> str:
    if code == -signal.SIGALRM:
        return f"it ran longer than {SECONDS} s"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _sanitizers() -> dict[str, str]:
    """Environment in which Python loads a library that was built with the address sanitizer."""
    compiler = os.environ.get("CXX", "g++")
    found = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    return {"LD_PRELOAD": found.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0"}


if __name__ == "__main__":
    run_main(main)
