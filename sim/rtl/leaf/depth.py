"""The depths that the kernels' loops state, beside the stages that the leaves in them need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hls.spec.config import HardwareConfig
from sim.rtl.leaf.llvm_ir import compile_leaves
from sim.rtl.leaf.verilog import Module
from sim.rtl.leaf.xls_ir import named

MEMORY = 2
"""Cycles of a loop besides its leaves: operands come out of memories, results go into one."""


@dataclass(frozen=True)
class Loop:
    """A pipelined loop: the leaves that follow one another in an iteration, and cycles for what no leaf covers."""

    label: str
    leaves: tuple[str, ...]
    others: int = 0


LOOPS = (
    Loop("multiply_steps", ("mac_cell",), others=1),  # an operand is new or kept
    Loop("finish_beats", ("epilogue",), others=3),  # chunks and segments are added, a class row is multiplied
    Loop("terms", ("exponential",), others=2),  # distance to the largest, running sum
    Loop("divide", ("reciprocal",)),
    Loop("values", ("probability",)),
    Loop("layernorm_moments", ("rsqrt",), others=6),  # variance: two products and two sums; two products by the root
    Loop("layernorm_rows", ("normalise",)),
    Loop("select_bits", ("look_at_bits",)),
)


@dataclass(frozen=True)
class Depth:
    """Cycles of a loop's iteration: what its source states, and what its leaves need."""

    label: str
    stated: int
    needed: int


def stated_depths(config: HardwareConfig) -> dict[str, int]:
    """Depths by loop, as the compiler sees them."""
    constants = {variable.name: str(variable) for variable in named(compile_leaves(config)).global_variables}
    return {loop.label: int(constants[f"depth_{loop.label}"].split(" i32 ")[1].split(",")[0]) for loop in LOOPS}


def stages(modules: Sequence[Module]) -> dict[str, int]:
    """Stages by leaf."""
    return {module.leaf.name: module.stages for module in modules}


def depths(config: HardwareConfig, needed: Mapping[str, int]) -> list[Depth]:
    """Every loop whose leaves' stages are given."""
    stated = stated_depths(config)
    return [
        Depth(loop.label, stated[loop.label], MEMORY + loop.others + sum(needed[leaf] for leaf in loop.leaves))
        for loop in LOOPS
        if all(leaf in needed for leaf in loop.leaves)
    ]
