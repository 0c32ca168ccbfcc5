"""Whole programs: the parts in order, checked against the hardware configuration, and assembled."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hls.spec.instruction import FIELDS, Instruction, assemble, encode
from hls.spec.legality import check
from hls.spec.status import SENTENCES, Status
from host.compiler.ahead import load_ahead
from host.compiler.block import block_backward, qkv_weight_gradient
from host.compiler.emitter import Emitter
from host.compiler.ends import embedding, embedding_backward, head, head_backward, loss
from host.compiler.forward import blocks_forward
from host.compiler.selector import selector_backward
from host.compiler.update import average_shift, exponent_update, update_op, weight_update
from host.errors import PeelVitError
from host.layout import Layout
from host.memory import Region
from host.model import TokenPlan, dense_plan

MODES = ("train", "eval", "forward")


@dataclass(frozen=True)
class Program:
    """A compiled program.

    Attributes:
        data: what is written to memory.
        instructions: the instructions without `end`.
        names: for each instruction what it computes, such as `blocks.3.attn forward` or `blocks.3.mlp.fc1 dW`.
        slot_table: where it counts its statistics.
    """

    data: bytes
    instructions: tuple[Instruction, ...]
    names: tuple[str, ...]
    slot_table: Region

    def name_of(self, instruction: int) -> str:
        """Name of an instruction by its index, `end` included."""
        return self.names[instruction] if instruction < len(self.names) else "end"


def compile_program(
    layout: Layout,
    plan: TokenPlan,
    *,
    mode: str = "train",
    accumulate: bool = False,
    update_images: int | None = None,
    label_smoothing: float = 0.0,
    all_tokens: bool = False,
) -> Program:
    """The program of one micro-batch.

    Arguments:
        layout: where the tensors lie.
        plan: tokens and keys of every block.
        mode: `train` (loss, gradients, attention variance), `eval` (logits and loss terms) or `forward` (logits).
        accumulate: add to the weight gradients that are there instead of replacing them.
        update_images: when given, the optimizer step follows, over gradients summed from so many images.
        label_smoothing: probability spread over all classes, in [0, 1).
        all_tokens: compute all rows behind the last attention; only without training, in a layout that traces.

    Raises `PeelVitError` when the hardware configuration is too small, naming the instruction.
    """
    _check_request(layout, mode, label_smoothing, all_tokens)
    e = Emitter(layout, plan, mode == "train", accumulate, all_tokens)
    if update_images is not None and update_op(layout) == "sgd_update" and not layout.use.trace:
        e.update_shift = average_shift(update_images)
    _forward(e)
    if mode != "forward":
        loss(e, label_smoothing)
    if mode == "train":
        _backward(e)
    if update_images is not None:
        weight_update(e, update_images)
        exponent_update(e)
    return _finish(e, layout.training_slots if mode == "train" else layout.evaluation_slots)


def compile_exponent_update(layout: Layout) -> Program:
    """The end of an optimizer step whose weights the host updates: exponents only."""
    e = Emitter(layout, dense_plan(layout.model), train=True)
    exponent_update(e)
    return _finish(e, layout.training_slots)


def _check_request(layout: Layout, mode: str, label_smoothing: float, all_tokens: bool) -> None:
    if mode not in MODES:
        raise ValueError(f"mode {mode} is none of {MODES}")
    if mode == "train" and not layout.use.training:
        raise ValueError("the layout has no room for training")
    if all_tokens and (mode == "train" or not layout.use.trace):
        raise ValueError("all_tokens needs a layout that traces, and no training")
    if not 0.0 <= label_smoothing < 1.0:
        raise PeelVitError(f"the label smoothing is {label_smoothing}; give a number from 0 to below 1")


def _forward(e: Emitter) -> None:
    embedding(e)
    blocks_forward(e)
    head(e)


def _backward(e: Emitter) -> None:
    head_backward(e)
    for index in reversed(range(e.model.depth)):
        block_backward(e, index)
        selector_backward(e, index)
    qkv_weight_gradient(e, 0)
    embedding_backward(e)


def _finish(e: Emitter, slot_table: Region) -> Program:
    layout, named = e.layout, load_ahead(list(zip(e.instructions, e.names, strict=True)))
    for instruction, name in named:
        _check_legal(layout, instruction, name)
    instructions, names = zip(*named, strict=True)
    data = assemble(list(instructions), layout.config.hash, slot_table.address, layout.slots.count)
    return Program(data, instructions, names, slot_table)


def _check_legal(layout: Layout, instruction: Instruction, name: str) -> None:
    fields = struct.unpack(f"<{FIELDS}I", encode(instruction))
    status = check(fields, layout.config, layout.memory.words, layout.slots.count)
    if status is Status.BAD_SHAPE:
        raise PeelVitError(
            f"{layout.model.name} with micro-batches of {layout.use.batch} does not fit the hardware configuration "
            f"{layout.config.name}: {name} needs {_excess(layout, instruction)}; "
            "use a smaller micro-batch or model, or a larger configuration"
        )
    if status is not Status.OK:
        raise ValueError(f"{name}: {SENTENCES[status]}")


def _excess(layout: Layout, instruction: Instruction) -> str:
    """The first dimension outside its limit, in words."""
    limits, op = layout.config.limits, instruction.op
    for dimension, (low, high) in op.limits.items():
        value = instruction.dimensions[dimension]
        if not low <= value <= limits[high]:
            return f"{dimension} = {value} and {high} is {limits[high]}"
    return f"a shape that {op.name} does not have"
