"""Runs one decoded, legal instruction on a memory and a slot table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from hls.spec.instruction import Instruction, slot_span
from hls.spec.legality import words_per_row
from hls.spec.ops import Access, Operand, evaluate
from hls.spec.pieces import pieces
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
    """The operand's own rows and columns."""
    rows, columns = (evaluate(shape, instruction.dimensions) for shape in (operand.rows, operand.columns))
    matrix = memory.matrix(instruction.operand(operand.name), operand.element, rows, columns)
    for dimension, shape in enumerate((operand.rows, operand.columns)):
        own = pieces(shape, instruction.dimensions)
        if len(own) > 1:
            matrix = torch.cat([matrix.narrow(dimension, piece.start, len(piece)) for piece in own], dimension)
    return matrix


def _write(
    memory: Memory, table: list[Slot], instruction: Instruction, present: Sequence[Operand], results: Results
) -> list[Slot]:
    """Results into memory, statistics into a copy of the table."""
    table = list(table)
    for operand in present:
        if operand.name not in results:
            continue
        place, result = instruction.operand(operand.name), results[operand.name]
        if result.values is not None:
            _write_pieces(memory, operand, instruction, result.values, result.columns)
        for slot, change in enumerate(result.slots, place.slot):
            table[slot] = change.applied_to(table[slot])
    return table


def _write_pieces(
    memory: Memory, operand: Operand, instruction: Instruction, values: Tensor, used: Sequence[int] | None
) -> None:
    """Values to the operand's own rows and columns, of which `used` tells how many a row has."""
    place = instruction.operand(operand.name)
    rows, columns = (pieces(shape, instruction.dimensions) for shape in (operand.rows, operand.columns))
    if len(rows) == len(columns) == 1:
        memory.write(place, operand.element, values, used)
        return
    done = 0
    for own_rows, part in zip(rows, torch.split(values, [len(piece) for piece in rows]), strict=True):
        used_here = None if used is None else used[done : done + len(own_rows)]
        done += len(own_rows)
        for own_columns, block in zip(columns, torch.split(part, [len(piece) for piece in columns], 1), strict=True):
            words = words_per_row(operand.element, own_columns.start)
            behind = replace(place, address=place.address + own_rows.start * place.pitch + words)
            memory.write(behind, operand.element, block, used_here)
