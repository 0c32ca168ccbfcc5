"""Which rows and columns of an operand's matrix are its own, where others lie between them.

Two addends in a shape expression stand for what is left out: ``gap + ...`` rows of other images between class and patch
rows, ``skipped + ...`` columns of other heads between queries, keys and values (rows of the weights that make them).
"""

from __future__ import annotations

from collections.abc import Mapping

from hls.spec.ops import evaluate

ADDENDS = ("gap", "skipped")
"""Dimensions that an expression may begin with, ``name + ``."""
PARTS = 3
"""Equal parts between which `skipped` lie, half of them behind the first and half behind the second."""


def addend(expression: str) -> str | None:
    """The addend of a shape expression, if it has one."""
    return next((name for name in ADDENDS if expression.startswith(f"{name} + ")), None)


def pieces(expression: str, names: Mapping[str, int]) -> tuple[range, ...]:
    """Of the rows or columns that an expression counts, ranges of those that are the operand's own."""
    total, name = evaluate(expression, names), addend(expression)
    left_out = names[name] if name else 0
    if not left_out:
        return (range(total),)
    if name == "gap":
        batch = names["batch"]
        return range(batch), range(batch + left_out, total)
    part = (total - left_out) // PARTS
    starts = (i * (part + left_out // (PARTS - 1)) for i in range(PARTS))
    return tuple(range(start, start + part) for start in starts)
