"""Weights that come on chip ahead: a linear layer's first ones while attention runs that nothing else runs beside, or
while the layer before it finishes its last sums."""

from __future__ import annotations

from dataclasses import replace

from hls.spec.instruction import Instruction, make

Named = tuple[Instruction, str]


_KIND = {"gemm_nt": "gemm_nt", "load_weights": "gemm_nt", "gemm_nn": "gemm_nn"}
"""Of what brings weights, the layers that they are for."""


def load_ahead(program: list[Named]) -> list[Named]:
    """The same instructions, where each `gemm_nt` or `gemm_nn` behind one of its kind finds its first weights on chip.

    Only an instruction with an operand `weight` writes weights, so none of these may lie between the two.
    """
    return _from_linears(_beside_attention(program))


def _beside_attention(program: list[Named]) -> list[Named]:
    """With `load_weights` beside the last attention in front of a `gemm_nt`, where that has the array for itself."""
    made: list[Named] = []
    waiting: list[int] = []  # places of attention since the array was last used
    is_chain = False  # it was by a linear layer
    for instruction, name in program:
        idle = [place for place in waiting if place + made[place][0].beside < len(made)]
        if instruction.op.name == "gemm_nt" and is_chain and idle:
            attention, its_name = made[idle[-1]]
            made[idle[-1]] = replace(attention, beside=attention.beside + 1), its_name
            layer = name.removesuffix(" forward")
            made.insert(idle[-1] + 1 + attention.beside, (_load(instruction), f"{layer} weights"))
        if instruction.op.unit == "attention":
            waiting.append(len(made))
        elif _ends_chain(instruction):
            waiting, is_chain = [], instruction.op.name == "gemm_nt"
        made.append((instruction, name))
    return made


def _from_linears(program: list[Named]) -> list[Named]:
    """With weights that the `gemm_nt` before brings, where nothing else does."""
    made, before = list(program), None
    for place, (instruction, name) in enumerate(program):
        if before is not None and instruction.op.name == _KIND.get(made[before][0].op.name):
            earlier, its_name = made[before]
            if earlier.op.name == instruction.op.name:
                made[before] = _bringing(earlier, instruction), its_name
            made[place] = replace(instruction, flags=instruction.flags | {"LOADED_W"}), name
        if _ends_chain(instruction):
            before = place if instruction.op.name in _KIND else None
    return made


def _ends_chain(instruction: Instruction) -> bool:
    """Whether what it leaves on chip, or in memory, is no longer what was there before."""
    return instruction.op.unit == "gemm" or "weight" in instruction.operands


def _load(behind: Instruction) -> Instruction:
    """`load_weights` of what a linear layer begins with."""
    columns, length = _first_columns(behind)
    return make("load_weights", dimensions={"n": columns, "k": length}, w=replace(behind.operand("w"), slot=0))


def _bringing(linear: Instruction, behind: Instruction) -> Instruction:
    """A linear layer that brings what the one behind it begins with."""
    columns, length = _first_columns(behind)
    size = {"next_n": columns, "next_k": length}
    return replace(
        linear,
        operands=linear.operands | {"next_w": replace(behind.operand("w"), slot=0)},
        dimensions=linear.dimensions | size,
        flags=linear.flags | {"NEXT_W"},
    )


def _first_columns(linear: Instruction) -> tuple[int, int]:
    """Output columns of its first part, and the length of the first segment of their contraction."""
    d = linear.dimensions
    return d.get("part", d["n"]), d["k"] // d.get("segments", 1)
