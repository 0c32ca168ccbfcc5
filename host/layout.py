"""Where everything of one model lies on one device: addresses and slots of all tensors, slot tables, programs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from hls.spec.config import HardwareConfig
from hls.spec.formats import ELEMENT_BYTES, WORD_BYTES
from hls.spec.instruction import INSTRUCTION_WORDS, Matrix
from hls.spec.legality import words_per_row
from hls.spec.slots import RECORD_WORDS
from host.memory import DEFAULT_LIMIT, MemoryPlan, Region, place_tensors
from host.model import ViTConfig
from host.slots import Slots, allocate_slots
from host.tensors import Tensor, Use, model_tensors

RESIDENT_PROGRAMS = 8
"""Programs of full length that fit in memory together, so that most steps need not write one."""


class Inputs(NamedTuple):
    """Names of the tensors that a micro-batch is written to."""

    patches: str
    labels: str


INPUTS = (Inputs("patches", "labels"), Inputs("next.patches", "next.labels"))
"""Places of micro-batches: training uses both in turn, other runs the first."""


@dataclass(frozen=True)
class Layout:
    """The compiler's and the runtime's view of the device's memory.

    `evaluation_slots` is a second slot table: programs that do not train count their statistics there, so that an
    evaluation between two steps leaves the training as it was.
    """

    config: HardwareConfig
    model: ViTConfig
    use: Use
    tensors: dict[str, Tensor]
    addresses: dict[str, int]
    slots: Slots
    memory: MemoryPlan
    training_slots: Region
    evaluation_slots: Region
    programs: Region

    def matrix(self, name: str, columns: int | None = None) -> Matrix:
        """Operand for the tensor `name`; with fewer `columns` than in the dense case its rows lie closer together."""
        tensor = self.tensors[name]
        pitch = words_per_row(tensor.element, tensor.columns if columns is None else columns)
        return Matrix(self.addresses.get(name, 0), pitch, self.slots.first.get(name, 0))

    def reading(self, place: int) -> Layout:
        """The same for a program that reads its micro-batch from `INPUTS[place]`."""
        moved = {usual: self.addresses[name] for usual, name in zip(INPUTS[0], INPUTS[place], strict=True)}
        return replace(self, addresses=self.addresses | moved)

    def slot(self, name: str) -> int:
        """First slot of the tensor `name`."""
        return self.slots.first[name]


def skip_rows(matrix: Matrix, count: int) -> Matrix:
    """`matrix` without its first `count` rows."""
    return replace(matrix, address=matrix.address + count * matrix.pitch)


def skip_columns(matrix: Matrix, count: int, element: str = "i16") -> Matrix:
    """`matrix` without its first `count` columns, which must fill whole words."""
    size = count * ELEMENT_BYTES[element]
    if size % WORD_BYTES:
        raise ValueError(f"{count} columns of {element} do not fill whole words")
    return replace(matrix, address=matrix.address + size // WORD_BYTES)


def plan_layout(config: HardwareConfig, model: ViTConfig, use: Use, limit: int = DEFAULT_LIMIT) -> Layout:
    """Place all tensors; `PeelVitError` when they exceed `limit` bytes or the configuration's slots."""
    tensors = model_tensors(model, use)
    slots = allocate_slots(tensors, config.max_slots)
    memory = MemoryPlan()
    training_slots = memory.add("slots", "slot tables", slots.count * RECORD_WORDS)
    evaluation_slots = memory.add("slots of evaluation", "slot tables", slots.count * RECORD_WORDS)
    programs = memory.add("programs", "programs", RESIDENT_PROGRAMS * _program_words(model))
    addresses = place_tensors(memory, tensors)
    memory.check(limit, f"{'training' if use.training else 'running'} {model.name} with micro-batches of {use.batch}")
    by_name = {tensor.name: tensor for tensor in tensors}
    return Layout(config, model, use, by_name, addresses, slots, memory, training_slots, evaluation_slots, programs)


def _program_words(model: ViTConfig) -> int:
    """Room for the longest program: about 26 instructions forward, 24 backward and 12 weight updates a block."""
    return (64 + 80 * model.depth) * INSTRUCTION_WORDS
