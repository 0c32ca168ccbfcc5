"""Which expressions synthesis knows the value of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hls.lint import clang
from hls.lint.node import LITERALS, Node

if TYPE_CHECKING:
    from hls.lint.unit import Unit

_CONSTANTS = {"TEMPLATE_NON_TYPE_PARAMETER", "ENUM_CONSTANT_DECL"}
_CONSTEXPR_LIBRARY = {"min", "max"}


def is_constant(node: Node, unit: Unit) -> bool:
    """Whether every leaf is a literal, a constant with a constant initializer, or a template parameter."""
    if node.kind in LITERALS:
        return True
    if node.kind in ("DECL_REF_EXPR", "MEMBER_REF_EXPR"):
        return _names_constant(node, unit)
    operation = node.operation
    if operation is not None:
        return all(is_constant(operand, unit) for operand in operation[1])
    if node.kind == "CALL_EXPR" and node.peel() is node:
        return _is_constexpr(node, unit) and all(is_constant(operand, unit) for operand in node.operands[1:])
    return bool(node.operands) and all(is_constant(operand, unit) for operand in node.operands)


def _names_constant(node: Node, unit: Unit) -> bool:
    if node.target is None:  # `T::kWidth` of a template parameter T: a static member, or it would not parse
        return "dependent" in node.cursor.type.spelling
    if node.target.kind.name in _CONSTANTS:
        return True
    if node.target.kind.name != "VAR_DECL" or not node.target.type.is_const_qualified():
        return False
    declared = unit.declarations.get(node.target.location.offset)
    if declared is None:
        return unit.is_system(node.target)
    return declared.initializer is not None and is_constant(declared.initializer, unit)


def _is_constexpr(call: Node, unit: Unit) -> bool:
    if call.target is None:
        return False
    if unit.is_system(call.target):
        return call.spelling in _CONSTEXPR_LIBRARY
    function = unit.callee(call)
    return function is not None and function.is_constexpr


def value(node: Node, unit: Unit) -> int | None:
    """Value of an integral expression; None if it has none or a template parameter decides it."""
    if not is_constant(node, unit) or any(_depends_on_template(leaf) for leaf in node.find("DECL_REF_EXPR")):
        return None
    return clang.evaluate(node.peel().cursor)


def _depends_on_template(node: Node) -> bool:
    return node.target is None or node.target.kind.name == "TEMPLATE_NON_TYPE_PARAMETER"
