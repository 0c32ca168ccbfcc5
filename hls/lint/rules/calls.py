"""Calls: every callee is known when the hardware is built, and none calls itself."""

from __future__ import annotations

from collections.abc import Iterator

from hls.lint.clang import type_kind
from hls.lint.node import Node
from hls.lint.registry import Hit, rule
from hls.lint.unit import Function, Unit

_BY_NAME = "call by name, or make the functor's type a template parameter"
_DECLARATIONS = {"VAR_DECL", "PARM_DECL", "FIELD_DECL", "TYPEDEF_DECL", "TYPE_ALIAS_DECL"}


@rule("recursion")
def recursion(unit: Unit) -> Iterator[Hit]:
    """No function calls itself, directly or through others."""
    for function in unit.functions:
        for key, call in function.calls:
            if function.key == key or function.key in reachable(unit, key):
                yield call.line, f"{function.name} calls itself through this call; rewrite it as a bounded loop."
        for call in _template_self_calls(function):
            yield call.line, f"{function.name} calls itself here; rewrite it as a bounded loop."


def reachable(unit: Unit, key: str) -> set[str]:
    """Keys of all functions called from function `key`, directly or through others."""
    seen: set[str] = set()
    pending = [key]
    while pending:
        function = unit.by_key.get(pending.pop())
        new = {callee for callee, _ in function.calls} - seen if function is not None else set()
        seen |= new
        pending += new
    return seen


def _template_self_calls(function: Function) -> Iterator[Node]:
    """Unresolved calls of a template to its own name without template arguments, which name the same instance."""
    if function.node.kind != "FUNCTION_TEMPLATE":
        return
    for call in function.node.find("CALL_EXPR"):
        callee = call.operands[0].children if call.operands and call.target is None else []
        if [(child.kind, child.spelling) for child in callee] == [("OVERLOADED_DECL_REF", function.name)]:
            yield call


@rule("virtual")
def virtual(unit: Unit) -> Iterator[Hit]:
    """No virtual method or base."""
    for node in unit.nodes:
        if node.kind in ("CXX_METHOD", "DESTRUCTOR") and node.cursor.is_virtual_method():
            yield node.line, f"{node.spelling} is virtual; choose the behaviour by a template parameter."
        elif node.kind == "CXX_BASE_SPECIFIER" and _is_virtual_base(node):
            yield node.line, "A virtual base needs run-time layout; inherit without virtual."


def _is_virtual_base(node: Node) -> bool:
    return any(token.spelling == "virtual" for token in node.cursor.get_tokens())


@rule("function-pointer")
def function_pointer(unit: Unit) -> Iterator[Hit]:
    """No function pointer, pointer to method or std::function."""
    for node in unit.nodes:
        if node.kind in _DECLARATIONS and _points_to_function(node.cursor.type.get_canonical()):
            yield node.line, f"{node.spelling or 'This'} points to a function; {_BY_NAME}."
        elif node.kind == "TEMPLATE_REF" and node.spelling == "function" and unit.is_system(node.target):
            yield node.line, f"std::function is bound at run time; {_BY_NAME}."


def _points_to_function(kind) -> bool:
    while "ARRAY" in type_kind(kind):
        kind = kind.get_array_element_type().get_canonical()
    if type_kind(kind) in ("POINTER", "LVALUEREFERENCE"):
        kind = kind.get_pointee().get_canonical()
        return type_kind(kind) == "FUNCTIONPROTO" or _points_to_function(kind)
    return type_kind(kind) == "MEMBERPOINTER"
