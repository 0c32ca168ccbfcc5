"""Weights that come on chip ahead: a linear layer's first ones while the layer before it finishes its last sums."""

from __future__ import annotations

from dataclasses import replace

from hls.spec.instruction import Instruction


def load_ahead(instructions: list[Instruction]) -> list[Instruction]:
    """The same instructions, where each `gemm_nt` brings the weights of the next one that uses the array.

    Only an instruction with an operand `weight` writes weights, so none of these may lie between the two.
    """
    made, before = list(instructions), None
    for place, instruction in enumerate(instructions):
        if before is not None and instruction.op.name == "gemm_nt":
            made[before] = _bringing(made[before], instruction)
            made[place] = replace(instruction, flags=instruction.flags | {"LOADED_W"})
        if instruction.op.unit == "gemm" or "weight" in instruction.operands:
            before = place if instruction.op.name == "gemm_nt" else None
    return made


def _bringing(linear: Instruction, behind: Instruction) -> Instruction:
    """A linear layer that brings what the one behind it begins with: rows of its first part."""
    size = {"next_n": behind.dimensions["part"], "next_k": behind.dimensions["k"]}
    return replace(
        linear,
        operands=linear.operands | {"next_w": replace(behind.operand("w"), slot=0)},
        dimensions=linear.dimensions | size,
        flags=linear.flags | {"NEXT_W"},
    )
