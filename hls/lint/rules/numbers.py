"""Numbers: integers only, dividers only where they are meant, shifts only by what is no less than zero."""

from __future__ import annotations

from collections.abc import Iterator

from hls.lint import constant
from hls.lint.clang import type_kind
from hls.lint.node import Node
from hls.lint.registry import Hit, rule
from hls.lint.unit import Unit

_FLOATING = {"FLOAT", "DOUBLE", "LONGDOUBLE", "FLOAT128", "HALF", "FLOAT16", "IBM128", "BFLOAT16"}
_DIVISIONS = {"/", "%", "/=", "%="}
_SHIFTS = {"<<", ">>", "<<=", ">>="}


@rule("floating-point")
def floating_point(unit: Unit) -> Iterator[Hit]:
    """No float, double, long double or half: types, literals or implicit conversions."""
    known: dict[str, bool] = {}
    for node in unit.nodes:
        if (node.is_expression or node.cursor.kind.is_declaration()) and _is_floating(node.cursor.type, known):
            yield node.line, "A floating-point value is used; kernels are integer only, so use a fixed-point format."


def _is_floating(kind, known: dict[str, bool]) -> bool:
    """Whether a type is, points to, holds, takes or returns a floating-point type."""
    key = kind.spelling
    if key not in known:
        known[key] = False  # a type that contains itself
        known[key] = any(_is_floating(part, known) for part in _parts(kind.get_canonical()))
    return known[key] or _is_floating_scalar(kind)


def _is_floating_scalar(kind) -> bool:
    canonical = kind.get_canonical()
    return type_kind(canonical) in _FLOATING or canonical.spelling.removeprefix("const ") == "half"


def _parts(kind) -> list:
    if "ARRAY" in type_kind(kind):
        return [kind.get_array_element_type()]
    if type_kind(kind) in ("POINTER", "LVALUEREFERENCE", "RVALUEREFERENCE"):
        return [kind.get_pointee()]
    if type_kind(kind) == "FUNCTIONPROTO":
        return [kind.get_result(), *kind.argument_types()]
    return [kind.get_template_argument_type(index) for index in range(kind.get_num_template_arguments())]


@rule("divider")
def divider(unit: Unit) -> Iterator[Hit]:
    """No division or modulo by a variable unless the line says `// lint: divider`."""
    for node, right in _right_operands(unit, _DIVISIONS):
        if not constant.is_constant(right, unit):
            yield node.line, "A division by a variable builds a divider; use a shift, or mark it `// lint: divider`."


@rule("negative-shift")
def negative_shift(unit: Unit) -> Iterator[Hit]:
    """No shift by a negative amount."""
    for node, right in _right_operands(unit, _SHIFTS):
        amount = constant.value(right, unit)
        if amount is not None and amount < 0:
            yield node.line, f"Shifting by {amount} is undefined; shift the other way by {-amount}."


def _right_operands(unit: Unit, symbols: set[str]) -> Iterator[tuple[Node, Node]]:
    for node in unit.nodes:
        operation = node.operation
        if operation is not None and operation[0] in symbols and len(operation[1]) == 2:
            yield node, operation[1][1]
