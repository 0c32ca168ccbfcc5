"""Runs one decoded, legal instruction on a memory and a slot table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from hls.spec.instruction import Instruction, slot_span
from hls.spec.ops import Access, Operand, evaluate
from sim.golden.fixed import Results
from sim.golden.memory import Memory
from sim.golden.ops import FUNCTIONS
from sim.golden.slots import Slot


def execute(memory: Memory, table: list[Slot], instruction: Instruction) -> list[Slot]:
    """Run `instruction`: its results are written to `memory`, the new slot table is returned."""
    op = instruction.op
    function = FUNCTIONS[op.name]
    if op.unit == "control":
        return list(function(table, **instruction.dimensions))
    present = [o for o in op.operands if o.flag is None or o.flag in instruction.flags]
    slots = {o.name: _slots(o, table, instruction) for o in present}
    operands = {
        o.name: _read(memory, o, instruction) if o in present else None
        for o in op.operands
        if o.access in (Access.READ, Access.UPDATE)
    }
    results: Results = function(
        **operands,
        **instruction.dimensions,
        **instruction.immediates,
        f={name: tuple(slot.f for slot in own) for name, own in slots.items()},
        flags=instruction.flags,
        slots=slots,
    )
    return _write(memory, table, instruction, present, results)


def _slots(operand: Operand, table: Sequence[Slot], instruction: Instruction) -> tuple[Slot, ...]:
    first = instruction.operand(operand.name).slot
    return tuple(table[first : first + slot_span(operand.slot, instruction)])


def _read(memory: Memory, operand: Operand, instruction: Instruction) -> Tensor:
    """The operand's rows; those in a gap are of others."""
    rows, columns = (evaluate(shape, instruction.dimensions) for shape in (operand.rows, operand.columns))
    matrix = memory.matrix(instruction.operand(operand.name), operand.element, rows, columns)
    if not (gap := _gap(operand, instruction)):
        return matrix
    batch = instruction.dimensions["batch"]
    return torch.cat([matrix[:batch], matrix[batch + gap :]])


def _gap(operand: Operand, instruction: Instruction) -> int:
    return instruction.dimensions["gap"] if operand.rows.startswith("gap + ") else 0


def _write(
    memory: Memory, table: list[Slot], instruction: Instruction, present: Sequence[Operand], results: Results
) -> list[Slot]:
    """Results into memory, statistics into a copy of the table."""
    table = list(table)
    for operand in present:
        if operand.name not in results:
            continue
        place, result = instruction.operand(operand.name), results[operand.name]
        if result.values is not None and (gap := _gap(operand, instruction)):
            batch = instruction.dimensions["batch"]
            behind = replace(place, address=place.address + (batch + gap) * place.pitch)
            memory.write(place, operand.element, result.values[:batch])
            memory.write(behind, operand.element, result.values[batch:])
        elif result.values is not None:
            memory.write(place, operand.element, result.values, result.columns)
        for slot, change in enumerate(result.slots, place.slot):
            table[slot] = change.applied_to(table[slot])
    return table
