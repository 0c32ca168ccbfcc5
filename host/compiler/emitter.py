"""Collects instructions and their names, and knows what all parts of a program have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from hls.spec.instruction import Instruction, Matrix, make
from hls.spec.ops import BY_NAME, Access, Op, Slot
from host.layout import Layout
from host.model import BlockPlan, TokenPlan, ViTConfig
from host.tensors import input_stream


@dataclass(frozen=True)
class Rows:
    """Rows of a token tensor, from the `first` on; the first `classes` are class rows."""

    count: int
    classes: int
    first: int = 0


@dataclass
class Emitter:
    """The program being written.

    `all_tokens` computes all rows behind the last attention, not only the class rows that the logits need. With
    `update_shift`, log2 of the images of an optimizer step that ends here, an op that makes the gradient of a weight
    updates it at once; `updated` are the parameters that are updated already, `summed` the biases and layer norms
    whose gradients are complete and that wait for their update.
    """

    layout: Layout
    plan: TokenPlan
    train: bool
    accumulate: bool = False
    all_tokens: bool = False
    update_shift: int | None = None
    updated: set[str] = field(default_factory=set)
    summed: list[str] = field(default_factory=list)
    instructions: list[Instruction] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    @property
    def model(self) -> ViTConfig:
        """The model being compiled."""
        return self.layout.model

    @property
    def batch(self) -> int:
        """Images of the micro-batch."""
        return self.layout.use.batch

    @property
    def saves(self) -> bool:
        """Whether what only a backward pass reads (or who traces) is written."""
        return self.train or self.layout.use.trace

    def emit(
        self,
        name: str,
        op: str,
        operands: Mapping[str, Matrix],
        *,
        flags: tuple[str, ...] = (),
        immediates: dict[str, int] | None = None,
        **dimensions: int,
    ) -> None:
        """Append one instruction; fields that the op table does not give an operand are left zero."""
        places = _only_used_fields(BY_NAME[op], operands)
        self.instructions.append(make(op, flags=flags, immediates=immediates, dimensions=dimensions, **places))
        self.names.append(name)

    @contextmanager
    def beside(self) -> Iterator[None]:
        """What is emitted inside runs beside the instruction before it, which is one of the attention unit."""
        first = len(self.instructions)
        yield
        count = len(self.instructions) - first
        self.instructions[first - 1] = replace(self.instructions[first - 1], beside=count)

    def has_just_made(self, matrix: Matrix, rows: int, columns: int) -> bool:
        """Whether the last instruction is a layer norm's that has made this matrix, which may then still be on chip."""
        last = self.instructions[-1] if self.instructions else None
        if last is None or last.op.name not in ("layernorm", "layernorm_backward"):
            return False
        made = last.operand("y" if last.op.name == "layernorm" else "dx")
        is_there = (made.address, made.pitch) == (matrix.address, matrix.pitch)
        return is_there and (last.dimensions["rows"], last.dimensions["n"]) == (rows, columns)

    def matrix(self, name: str, columns: int | None = None) -> Matrix:
        """Operand for the tensor `name`."""
        return self.layout.matrix(name, columns)

    def block(self, index: int) -> BlockPlan:
        """Tokens and keys of block `index`."""
        return self.plan.blocks[index]

    def class_only(self, index: int) -> bool:
        """Whether block `index` computes class rows only behind its keys and values: the last one, exactly and free."""
        return index == self.model.depth - 1 and not self.all_tokens

    def rows(self, index: int) -> Rows:
        """Rows that enter block `index` behind its selector."""
        return Rows(self.batch * (1 + self.block(index).patches), self.batch)

    def rows_after(self, index: int) -> Rows:
        """Rows behind the attention of block `index`."""
        return Rows(self.batch, self.batch) if self.class_only(index) else self.rows(index)

    def uses_keys(self, index: int) -> bool:
        """Whether the attention of block `index` reads selected keys: its patch queries do."""
        return self.block(index).key_count is not None and not self.class_only(index)

    def selects_keys(self, index: int) -> bool:
        """Whether a selector in front of block `index` has keys to choose."""
        return self.plan.selects_keys(index) and self.uses_keys(index)

    def selects(self, index: int) -> bool:
        """Whether anything is selected in front of block `index`."""
        return self.plan.prunes(index) or self.selects_keys(index)

    def keys_of(self, index: int) -> Matrix:
        """The keys that block `index` reads: those of the last selector up to it."""
        selector = max(place for place in self.plan.selectors if place <= index)
        return self.matrix(f"blocks.{selector}.keys", self.block(index).key_count)

    def input_of(self, index: int) -> str:
        """Name of the stream that block `index` reads: gathered when its selector prunes."""
        return f"blocks.{index}.in" if self.plan.prunes(index) else input_stream(index)


def _only_used_fields(op: Op, operands: Mapping[str, Matrix]) -> dict[str, Matrix]:
    places = dict(operands)
    for operand in op.operands:
        if operand.name in places and operand.access is Access.NONE:
            places[operand.name] = Matrix(slot=places[operand.name].slot)
        elif operand.name in places and operand.slot is Slot.NONE:
            places[operand.name] = replace(places[operand.name], slot=0)
    return places
