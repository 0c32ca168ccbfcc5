"""One pass of one model through the C simulation, with the cycles of every instruction.

What was measured is kept below `build/<config>/perf`, by the kernels, the program and what it runs on, so that a
rerun reads it.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

import numpy as np

from hls.spec.status import SENTENCES, Status
from host.compiler import Program, compile_program
from host.device import Counters
from host.devices.csim import CsimDevice
from host.errors import PeelVitError
from host.layout import Layout, plan_layout
from host.model import ViTConfig
from host.tensors import Use
from sim.csim import library
from sim.perf.levels import Keep
from sim.perf.run import Run
from sim.workload import load_model, write_program

PASSES = ("inference", "training")
SEED = 0
"""Of parameters and pixels."""


def measure(
    device: CsimDevice, model: ViTConfig, purpose: str, level: str, keep: Keep, *, batch: int, memory_limit: int
) -> Run:
    """Run the program once on random parameters and pixels; training includes the optimizer's update."""
    training = purpose == "training"
    plan = keep.sparsity.plan(model)
    use = Use(batch, training=training, selectors=plan.selectors)
    layout = plan_layout(device.config, model, use, memory_limit)
    update = batch if training else None
    program = compile_program(layout, plan, mode="train" if training else "forward", update_images=update)
    kept = _kept(device, layout, program)
    if not kept.is_file():
        _execute(device, layout, program, kept)
    with np.load(kept) as found:
        cycles, bounds = int(found["cycles"]), tuple(map(str, found["bounds"]))
        counters = Counters(found["kinds"], found["words"], bounds, found["hidden"])
    return Run(
        device.config, model.name, purpose, level, keep, batch, cycles, program.instructions, program.names, counters
    )  # fmt: skip


def _kept(device: CsimDevice, layout: Layout, program: Program) -> Path:
    """Where the figures of this program lie. The compiled library's key covers kernels and configuration."""
    compiled = library(device.config, "fast")
    setting = (layout.model.name, layout.use.batch, SEED, device.rows_wait)
    key = hashlib.sha256(f"{_key_of(compiled)} {setting} ".encode() + program.data).hexdigest()[:24]
    return compiled.parent / "perf" / f"{key}.npz"


@cache
def _key_of(compiled: Path) -> str:
    """Read once, with the library: another process may build anew while this one runs."""
    return compiled.with_suffix(".key").read_text()


def _execute(device: CsimDevice, layout: Layout, program: Program, kept: Path) -> None:
    load_model(device, layout, SEED)
    result = device.run(write_program(device, layout, program))
    if result.status is not Status.OK:
        where = program.name_of(result.failed_instruction)
        raise PeelVitError(f"{layout.model.name}: the device stopped at {where}: {SENTENCES[result.status]}")
    counters = device.counters()
    device.close()
    kept.parent.mkdir(exist_ok=True)
    scratch = kept.with_suffix(f".{os.getpid()}.npz")  # another process may look for the same figures
    np.savez(
        scratch,
        cycles=result.cycles,
        kinds=counters.instruction_kinds,
        words=counters.instruction_words,
        hidden=counters.instruction_hidden,
        bounds=np.array(counters.instruction_bounds),
    )
    os.replace(scratch, kept)
