"""What a measured program says: times, what they were spent on, and how far they are from the target."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls.spec.config import HardwareConfig
from hls.spec.formats import WORD_BYTES
from hls.spec.instruction import Instruction
from host.device import KINDS, Counters
from sim.macs import macs
from sim.perf.energy import joules
from sim.perf.levels import EPOCH_IMAGES, PAPER, Keep, target

OTHER = "program and slots"
"""Cycles outside all instructions: header, checksum, slot table."""

RESOURCES = {
    "compute": "multiply-accumulate array",
    "vector": "vector loops",
    "memory": "ports and DDR",
    "stall": "fill, drain and latencies",
}
"""What binds a program that spends most of its cycles on each kind."""


@dataclass(frozen=True, eq=False)
class Run:
    """One program of one micro-batch on the C simulation; `level` names `keep`.

    Attributes:
        cycles: modelled, of the whole program.
        instructions, names: the program.
        counters: of each instruction.
    """

    config: HardwareConfig
    model: str
    purpose: str
    level: str
    keep: Keep
    batch: int
    cycles: int
    instructions: tuple[Instruction, ...]
    names: tuple[str, ...]
    counters: Counters

    def ms_of(self, cycles: float) -> float:
        """Milliseconds an image."""
        return cycles / (self.config.clock_mhz * 1e3) / self.batch

    @property
    def ms(self) -> float:
        """Milliseconds an image of the whole program."""
        return self.ms_of(self.cycles)

    @property
    def ddr_bytes(self) -> float:
        """Bytes an image that instructions read and write."""
        return float(self.counters.instruction_words.sum()) * WORD_BYTES / self.batch

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of the program."""
        return sum(map(macs, self.instructions))

    @property
    def mac_utilisation(self) -> float:
        """Part of the multiply-accumulates that the array and the attention unit could do."""
        return self.macs / (self.cycles * self.config.macs)

    # Time in parts

    @property
    def outside(self) -> int:
        """Cycles outside all instructions."""
        return self.cycles - int(self.counters.instruction_cycles.sum())

    def passes(self) -> tuple[str, ...]:
        """[instructions]: forward, backward or update. The forward pass ends with the loss."""
        names = [instruction.op.name for instruction in self.instructions]
        loss = names.index("cross_entropy") if "cross_entropy" in names else len(names)
        return tuple(
            "update" if name.endswith("_update") else "forward" if index <= loss else "backward"
            for index, name in enumerate(names)
        )

    def layers(self) -> tuple[str, ...]:
        """[instructions]: the block, or what stands before and behind the blocks."""
        return tuple(re.match(r"blocks\.\d+|[^. ]+", name)[0] for name in self.names)  # type: ignore[index]

    def ops(self) -> tuple[str, ...]:
        """[instructions]: names of the ops."""
        return tuple(instruction.op.name for instruction in self.instructions)

    def split(self, parts: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
        """[kinds] milliseconds an image by part, where `parts` names that of each instruction; with `OTHER`."""
        totals: dict[str, NDArray[np.float64]] = {}
        for part, cycles in zip(parts, self.counters.instruction_kinds, strict=True):
            totals[part] = totals.get(part, np.zeros(len(KINDS))) + self.ms_of(1.0) * cycles
        other = np.zeros(len(KINDS))
        other[KINDS.index("stall")] = self.ms_of(self.outside)
        return totals | {OTHER: other}

    @property
    def hidden(self) -> float:
        """Milliseconds an image of the attention unit behind the instructions that ran beside it."""
        return self.ms_of(float(self.counters.instruction_hidden.sum()))

    def by_kind(self) -> dict[str, float]:
        """Milliseconds an image by what they were spent on."""
        spent = np.sum(list(self.split(self.ops()).values()), axis=0)
        return dict(zip(KINDS, spent.tolist(), strict=True))

    def tasks(self) -> dict[str, float]:
        """Milliseconds an image by the task, port or fill that bounded an instruction, longest first."""
        totals: dict[str, float] = {}
        for bound, cycles in zip(self.counters.instruction_bounds, self.counters.instruction_cycles, strict=True):
            totals[bound] = totals.get(bound, 0.0) + self.ms_of(float(cycles))
        return dict(sorted(totals.items(), key=lambda item: -item[1]))

    def spans(self) -> Iterator[tuple[float, float]]:
        """Start and length of every instruction in milliseconds of the micro-batch, on end."""
        start = 0.0
        for cycles in self.counters.instruction_cycles.tolist():
            length = cycles / (self.config.clock_mhz * 1e3)
            yield start, length
            start += length

    # In units of the paper

    def _in_units_of_the_paper(self, ms: float) -> float:
        """Milliseconds an image in inference; in training hours an epoch of the examples that are kept."""
        return ms if self.purpose == "inference" else ms * EPOCH_IMAGES * self.keep.examples / 3.6e6

    @property
    def modelled(self) -> float:
        """What the paper's Table 2 states: milliseconds an image, or hours an epoch."""
        return self._in_units_of_the_paper(self.ms)

    @property
    def bound(self) -> float:
        """The same with one multiply-accumulate a cycle in every DSP slice, and nothing else."""
        return self._in_units_of_the_paper(self.ms_of(self.macs / self.config.dsp))

    @property
    def paper(self) -> float | None:
        """The paper's figure, where it has one."""
        return PAPER.get((self.model, self.purpose), {}).get(self.level)

    @property
    def target(self) -> float | None:
        """What is to be reached, where something is."""
        return target(self.model, self.purpose, self.batch, self.level)

    @property
    def held(self) -> bool | None:
        """Whether the target is reached."""
        return None if self.target is None else self.modelled <= self.target

    @property
    def binding(self) -> str:
        """What most time is spent on, with its part, and the task that bounds most of it."""
        spent = self.by_kind()
        kind = max(spent, key=spent.__getitem__)
        task = next((name for name in self.tasks() if name not in ("", "fill")), "-")
        return f"{RESOURCES[kind]} {spent[kind] / self.ms:.0%}; task {task}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        least, most = joules(self.ms)
        return {
            "model": self.model,
            "pass": self.purpose,
            "keep": self.keep.as_dict(),
            "level": self.level,
            "micro_batch": self.batch,
            "cycles": self.cycles,
            "ms_per_image": self.ms,
            "hours_per_epoch": self.modelled if self.purpose == "training" else None,
            "ddr_bytes_per_image": round(self.ddr_bytes),
            "mac_utilisation": self.mac_utilisation,
            "paper": self.paper,
            "bound": self.bound,
            "target": self.target,
            "held": self.held,
            "binding": self.binding,
            "spent_ms": self.by_kind(),
            "hidden_ms": self.hidden,
            "estimated_joules_per_image": {"low": least, "high": most},
        }
