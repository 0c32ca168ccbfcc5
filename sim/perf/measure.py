"""One pass of one model through the C simulation, with the cycles of every instruction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hls.spec.config import HardwareConfig
from hls.spec.formats import WORD_BYTES
from hls.spec.instruction import Instruction
from hls.spec.status import SENTENCES, Status
from host.compiler import compile_program
from host.device import Counters
from host.devices.csim import CsimDevice
from host.errors import PeelVitError
from host.layout import plan_layout
from host.model import ViTConfig
from host.tensors import Use
from sim.macs import macs
from sim.perf.levels import EPOCH_IMAGES, LEVELS, PAPER
from sim.workload import load_model, write_program

PASSES = ("inference", "training")
OTHER = "program and slots"
"""Cycles outside all instructions: header, checksum, slot table."""


@dataclass(frozen=True)
class Run:
    """One program of one micro-batch on the C simulation; `level` is one of `LEVELS`.

    Attributes:
        cycles: modelled, of the whole program.
        instructions, names: the program.
        counters: of each instruction.
    """

    config: HardwareConfig
    model: str
    purpose: str
    level: str
    batch: int
    cycles: int
    instructions: tuple[Instruction, ...]
    names: tuple[str, ...]
    counters: Counters

    @property
    def ms(self) -> float:
        """Milliseconds an image."""
        return self._ms(self.cycles)

    def _ms(self, cycles: float) -> float:
        return cycles / (self.config.clock_mhz * 1e3) / self.batch

    @property
    def ddr_bytes(self) -> float:
        """Bytes an image that instructions read and write."""
        return float(self.counters.instruction_words.sum()) * WORD_BYTES / self.batch

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the program."""
        return sum(map(macs, self.instructions))

    def by_kind(self) -> dict[str, float]:
        """Milliseconds an image by op, and outside all instructions."""
        totals: dict[str, float] = {}
        for instruction, cycles in zip(self.instructions, self.counters.instruction_cycles.tolist(), strict=True):
            totals[instruction.op.name] = totals.get(instruction.op.name, 0.0) + self._ms(cycles)
        return totals | {OTHER: self._ms(self.cycles - int(self.counters.instruction_cycles.sum()))}

    def _in_units_of_the_paper(self, ms: float) -> float:
        """Milliseconds an image in inference; in training hours an epoch of the examples that are kept."""
        return ms if self.purpose == "inference" else ms * EPOCH_IMAGES * LEVELS[self.level].examples / 3.6e6

    @property
    def modelled(self) -> float:
        """What the paper's Table 2 states: milliseconds an image, or hours an epoch."""
        return self._in_units_of_the_paper(self.ms)

    @property
    def bound(self) -> float:
        """The same with one multiply-accumulate a cycle in every DSP slice, and nothing else."""
        return self._in_units_of_the_paper(self._ms(self.macs / self.config.dsp))

    @property
    def paper(self) -> float | None:
        """The paper's figure, where it has one."""
        return PAPER.get((self.model, self.purpose), {}).get(self.level)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "model": self.model,
            "pass": self.purpose,
            "keep": LEVELS[self.level].as_dict(),
            "level": self.level,
            "micro_batch": self.batch,
            "cycles": self.cycles,
            "ms_per_image": self.ms,
            "hours_per_epoch": self.modelled if self.purpose == "training" else None,
            "ddr_bytes_per_image": round(self.ddr_bytes),
            "mac_utilisation": self.macs / (self.cycles * self.config.macs),
            "paper": self.paper,
            "bound": self.bound,
        }


def measure(device: CsimDevice, model: ViTConfig, purpose: str, level: str, *, batch: int, memory_limit: int) -> Run:
    """Run the program once on random parameters and pixels; training includes the optimizer's update."""
    training = purpose == "training"
    plan = LEVELS[level].sparsity.plan(model)
    use = Use(batch, training=training, momentum=training, selectors=plan.selectors)
    layout = plan_layout(device.config, model, use, memory_limit)
    load_model(device, layout, seed=0)
    update = batch if training else None
    program = compile_program(layout, plan, mode="train" if training else "forward", update_images=update)
    result = device.run(write_program(device, layout, program))
    if result.status is not Status.OK:
        where = program.name_of(result.failed_instruction)
        raise PeelVitError(f"{model.name}: the device stopped at {where}: {SENTENCES[result.status]}")
    counters = device.counters()
    device.close()
    return Run(
        device.config, model.name, purpose, level, batch, result.cycles, program.instructions, program.names, counters
    )  # fmt: skip
