"""How many values a training program stores in fixed point: what a saturation rate is a rate of."""

from __future__ import annotations

from hls.spec.instruction import Instruction
from hls.spec.ops import Slot
from hls.spec.pieces import pieces
from host.compiler import compile_program
from host.layout import Layout
from host.model import TokenPlan


def stored_values(layout: Layout, plan: TokenPlan) -> int:
    """Elements with a fraction that the training program of one micro-batch writes to memory."""
    return sum(map(_stored_by, compile_program(layout, plan, mode="train").instructions))


def _stored_by(instruction: Instruction) -> int:
    names = instruction.dimensions | {name: int(name in instruction.flags) for name in instruction.op.flags}
    return sum(
        sum(map(len, pieces(operand.rows, names))) * sum(map(len, pieces(operand.columns, names)))
        for operand in instruction.op.operands
        if operand.is_written(instruction.flags) and operand.slot is not Slot.NONE
    )
