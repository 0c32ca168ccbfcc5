"""``python -m sim.bench``: how fast this machine simulates a training step; all ratios come from one run.

The step is forward and backward of one image, without the optimizer's update, unless a line says otherwise.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hls.spec.config import HardwareConfig
from hls.spec.instruction import Instruction
from host.compiler import compile_program
from host.device import Counters, Device, RunResult
from host.devices.csim import CsimDevice
from host.errors import PeelVitError, run_main
from host.layout import plan_layout
from host.model import Sparsity, ViTConfig, dense_plan, parse_model
from host.runtime import Session, SessionOptions
from host.tensors import Use
from sim.csim import build
from sim.golden.device import GoldenDevice
from sim.macs import asked_queries, macs
from sim.workload import LEARNING_RATE, load_hardware, random_batch, random_parameters

_OPTIONS = SessionOptions(batch=1, memory_limit=2 << 30)


@dataclass
class TimedDevice:
    """A device that notes the seconds of every run."""

    device: Device
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.config: HardwareConfig = self.device.config

    def allocate(self, words: int) -> None:
        """See `host.device.Device`."""
        self.device.allocate(words)

    def write(self, address: int, data: npt.NDArray[np.generic]) -> None:
        """See `host.device.Device`."""
        self.device.write(address, data)

    def read(self, address: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
        """See `host.device.Device`."""
        return self.device.read(address, shape, dtype)

    def run(self, program: int) -> RunResult:
        """See `host.device.Device`."""
        start = time.perf_counter()
        result = self.device.run(program)
        self.seconds.append(time.perf_counter() - start)
        return result

    def counters(self) -> Counters:
        """See `host.device.Device`."""
        return self.device.counters()

    def close(self) -> None:
        """See `host.device.Device`."""
        self.device.close()


@dataclass(frozen=True)
class Timing:
    """Seconds of a micro-batch without and with the update on the device, and of the host's own work around one."""

    step: float
    step_with_update: float
    host: float


State = dict[str, npt.NDArray[Any]]


def calibrated_state(device: Device, model: ViTConfig) -> State:
    """The state of a session that is ready to train."""
    with closing(Session(device, model, Sparsity(), _OPTIONS)) as session:
        session.load_parameters(random_parameters(model, seed=0))
        session.calibrate(*random_batch(model, 1, seed=0))
        return session.state()


def time_steps(device: Device, model: ViTConfig, state: State, repeats: int) -> Timing:
    """Medians over `repeats` optimizer steps of two micro-batches of one image: only the second one updates."""
    timed, host = TimedDevice(device), []
    with closing(Session(timed, model, Sparsity(), _OPTIONS)) as session:
        session.load_state(state)
        for seed in range(1 + repeats):  # the first compiles the programs
            before, start = len(timed.seconds), time.perf_counter()
            session.train_step(*random_batch(model, 2, seed), learning_rate=LEARNING_RATE)
            host.append(time.perf_counter() - start - sum(timed.seconds[before:]))
    return Timing(median(timed.seconds[2::2]), median(timed.seconds[3::2]), median(host[1:]) / 2)


def products(instruction: Instruction) -> list[tuple[int, int, int, int]]:
    """The matrix products (count, m, k, n) that a GEMM or attention instruction stands for."""
    d = instruction.dimensions
    name = instruction.op.name
    if name in ("gemm_nt", "gemm_nn"):
        return [(1, d["rows"], d["k"], d["n"])]
    if name == "gemm_tn":
        return [(1, d["n"], d["rows"], d["k"])]
    if name not in ("attention", "attention_backward"):
        return []
    count, queries, tokens = d["batch"] * d["heads"], sum(asked_queries(d)), 1 + d["patches"]
    scores, values = (count, queries, d["head_dim"], tokens), (count, queries, tokens, d["head_dim"])
    if name == "attention":
        return [product for flag, product in (("SCORES", scores), ("VALUES", values)) if flag in instruction.flags]
    by_keys = (count, tokens, queries, d["head_dim"])
    return [scores, values, by_keys, by_keys]


def time_blas(shapes: Sequence[tuple[int, int, int, int]], repeats: int) -> float:
    """Median seconds of these products in float64, which is exact for the mantissas of a step."""
    largest = max(count * k * max(m, n) for count, m, k, n in shapes)
    data = torch.randint(-100, 100, (2, largest)).double()

    def operand(which: int, count: int, rows: int, columns: int) -> torch.Tensor:
        return data[which, : count * rows * columns].view(count, rows, columns)

    seconds = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        for count, m, k, n in shapes:
            torch.matmul(operand(0, count, m, k), operand(1, count, k, n))
        seconds.append(time.perf_counter() - start)
    return median(seconds[1:])


def bench(config: HardwareConfig, model: ViTConfig, repeats: int) -> dict[str, Any]:
    """All figures."""
    instructions = compile_program(plan_layout(config, model, Use(batch=1)), dense_plan(model)).instructions
    count = sum(map(macs, instructions))
    blas = time_blas([shape for i in instructions for shape in products(i)], repeats)
    state = calibrated_state(CsimDevice(config), model)
    csim = time_steps(CsimDevice(config), model, state, repeats)
    golden = time_steps(GoldenDevice(config), model, state, repeats)
    return {
        "model": model.name,
        "config": config.name,
        "threads": torch.get_num_threads(),
        "gmac": count / 1e9,
        "csim_seconds": csim.step,
        "csim_gmac_per_second": count / csim.step / 1e9,
        "csim_update_seconds": csim.step_with_update - csim.step,
        "golden_seconds": golden.step,
        "golden_gmac_per_second": count / golden.step / 1e9,
        "golden_update_seconds": golden.step_with_update - golden.step,
        "blas_seconds": blas,
        "csim_over_blas": csim.step / blas,
        "csim_over_golden": csim.step / golden.step,
        "host_seconds": csim.host,
    }


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    f = figures
    rows = [
        ("C simulation, fast", f["csim_seconds"], f["csim_gmac_per_second"]),
        ("golden model, CPU", f["golden_seconds"], f["golden_gmac_per_second"]),
        ("float64 BLAS, the products alone", f["blas_seconds"], f["gmac"] / f["blas_seconds"]),
    ]
    work = f"{f['gmac']:.2f} GMAC, {f['threads']} threads"
    lines = [f"{f['model']} on {f['config']}: forward and backward of one image, {work}"]
    lines += [f"  {label:34}{seconds:9.3f} s{rate:9.2f} GMAC/s" for label, seconds, rate in rows]
    lines += [
        f"  update, C simulation / golden     {f['csim_update_seconds']:9.3f} s {f['golden_update_seconds']:9.3f} s",
        f"  host work for a step              {f['host_seconds']:9.3f} s",
        f"  C simulation takes {f['csim_over_blas']:.2f} times as long as BLAS and {f['csim_over_golden']:.2f} times "
        "as long as the golden model",
    ]
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m sim.bench", description="Speed of the simulations.")
    parser.add_argument("--model", default="deit_tiny_patch16_224")
    parser.add_argument("--config", default="zcu102", help="hardware configuration")
    parser.add_argument("--repeats", type=int, default=3, help="steps of which the median is taken")
    parser.add_argument(
        "--json", type=Path, default=Path("reports/bench.json"), help="where the figures are written to"
    )
    options = parser.parse_args()
    if options.repeats < 1:
        raise PeelVitError("give at least one repeat")
    config = load_hardware(options.config)
    model = parse_model(options.model)
    build(config, "fast")
    figures = bench(config, model, options.repeats)
    print(table(figures))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=1) + "\n")
    print(f"written to {options.json}")


if __name__ == "__main__":
    run_main(main)
