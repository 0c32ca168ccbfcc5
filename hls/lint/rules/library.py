"""Library: nothing of the C++ library but integer types, type traits and limits; no maths functions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hls.lint.clang import cindex
from hls.lint.node import Node
from hls.lint.registry import Hit, rule
from hls.lint.unit import Unit

_REFERENCES = {"DECL_REF_EXPR", "TYPE_REF", "TEMPLATE_REF", "OVERLOADED_DECL_REF"}
_NAMESPACES = {"NAMESPACE", "LINKAGE_SPEC", "UNEXPOSED_DECL"}

SYNTHESIZABLE = re.compile(
    r"u?int(_fast|_least)?\d+_t|u?int(max|ptr)_t|size_t|ptrdiff_t|numeric_limits|min|max|swap|move|forward|declval"
    r"|is_\w+|enable_if(_t)?|conditional(_t)?|integral_constant|true_type|false_type|make_(un)?signed(_t)?"
    r"|remove_\w+|add_\w+|decay(_t)?|index_sequence|integer_sequence|make_index_sequence"
)

MATHS = re.compile(
    r"(a?(sin|cos|tan)h?|atan2|exp2?|expm1|log(10|2|1p|b)?|pow|sqrt|rsqrt|cbrt|hypot|erfc?|[lt]gamma|ceil|floor|trunc"
    r"|l?l?round|rint|l?lrint|nearbyint|fabs|fmod|fmin|fmax|fdim|fma|frexp|ldexp|scalbl?n|modf|remainder|copysign)[fl]?"
)


@rule("std-library")
def std_library(unit: Unit) -> Iterator[Hit]:
    """No containers, strings, streams or other run-time parts of std."""
    for node, scope, name in _library_names(unit):
        if scope == "std" and name != "function" and not SYNTHESIZABLE.fullmatch(name) and not MATHS.fullmatch(name):
            yield node.line, f"std::{name} is not synthesized; use fixed arrays and integers instead."


@rule("maths-call", hides=("floating-point",))
def maths_call(unit: Unit) -> Iterator[Hit]:
    """No hls:: maths and no <cmath>."""
    for node, scope, name in _library_names(unit):
        is_function = "FUNCTION" in node.target.kind.name or node.kind == "OVERLOADED_DECL_REF"
        if is_function and (scope == "hls" or (scope in ("std", "") and MATHS.fullmatch(name))):
            yield node.line, f"{name}() computes in floating point; use an integer table or Newton steps instead."


def _library_names(unit: Unit) -> Iterator[tuple[Node, str, str]]:
    """(reference, outermost namespace, name) for every name from a system header; members of classes left out."""
    for node in unit.nodes:
        if node.kind not in _REFERENCES or node.target is None:
            continue
        declared = _first_overload(node)
        if unit.is_system(declared) and (scope := _namespace(declared)) is not None:
            yield node, scope, declared.spelling


def _first_overload(node: Node):
    if node.kind != "OVERLOADED_DECL_REF":
        return node.target
    return cindex().conf.lib.clang_getOverloadedDecl(node.target, 0)


def _namespace(declared) -> str | None:
    """Outermost namespace of a declaration; "" at file scope, None for members of classes."""
    outer, scope = "", declared.semantic_parent
    while scope is not None and scope.kind.name != "TRANSLATION_UNIT":
        if scope.kind.name not in _NAMESPACES:
            return None
        outer, scope = scope.spelling or outer, scope.semantic_parent
    return outer
