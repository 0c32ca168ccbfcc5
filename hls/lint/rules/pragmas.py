"""Pragmas: spelt as Vitis HLS 2021.1 spells them, naming what exists, standing where they have an effect."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator

from hls.lint.node import FUNCTIONS, Node
from hls.lint.pragma import Pragma
from hls.lint.pragma_table import DIRECTIVES, Directive, Kind, Place
from hls.lint.registry import Hit, rule
from hls.lint.unit import Scope, Unit

_NAME = re.compile(r"\s*([A-Za-z_]\w*)")
_NUMBER = re.compile(r"-?\d+|[A-Za-z_(][\w:()+\-*/]*")
_SCOPED_VARIABLES = {"VAR_DECL", "PARM_DECL"}


@rule("unknown-pragma")
def unknown_pragma(unit: Unit) -> Iterator[Hit]:
    """Every pragma is `#pragma HLS` with a directive of Vitis HLS 2021.1."""
    for pragma, _ in _all(unit):
        if pragma.namespace != "HLS":
            yield pragma.line, f"#pragma {pragma.namespace} is ignored by Vitis HLS; write #pragma HLS."
        elif pragma.directive not in DIRECTIVES:
            yield pragma.line, f"There is no directive {pragma.directive!r}; {_suggest(pragma.directive, DIRECTIVES)}."


@rule("pragma-option")
def pragma_option(unit: Unit) -> Iterator[Hit]:
    """Options are known, have values of their kind, and none that is needed is missing."""
    for pragma, _ in _known(unit):
        directive = DIRECTIVES[pragma.directive]
        for fault in _option_faults(pragma, directive):
            yield pragma.line, f"{pragma.directive}: {fault}."


@rule("pragma-variable")
def pragma_variable(unit: Unit) -> Iterator[Hit]:
    """`variable=` and `port=` name a variable in scope."""
    for pragma, scope in _known(unit):
        options = DIRECTIVES[pragma.directive].options
        for key, value in pragma.options.items():
            if options.get(key) is Kind.VARIABLE and scope is not None and not _is_in_scope(value, pragma, scope, unit):
                yield pragma.line, f"{key}={value} names nothing in scope; name a variable declared above."


@rule("misplaced-pragma")
def misplaced_pragma(unit: Unit) -> Iterator[Hit]:
    """Pragmas stand where they have an effect."""
    for pragma, scope in _known(unit):
        place = DIRECTIVES[pragma.directive].place
        if scope is None or not _stands_at(pragma, scope, place, unit):
            yield pragma.line, f"{pragma.directive} has no effect here; put it {place.value}."


def _all(unit: Unit) -> Iterator[tuple[Pragma, Scope | None]]:
    yield from ((pragma, None) for pragma in unit.stray_pragmas)
    for scope in unit.scopes:
        yield from ((pragma, scope) for pragma in scope.pragmas)


def _known(unit: Unit) -> Iterator[tuple[Pragma, Scope | None]]:
    return (found for found in _all(unit) if found[0].namespace == "HLS" and found[0].directive in DIRECTIVES)


def _suggest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean {close[0]}?".rstrip("?") if close else f"known are {', '.join(sorted(known))}"


def _option_faults(pragma: Pragma, directive: Directive) -> Iterator[str]:
    for key, value in pragma.options.items():
        if key not in directive.options:
            yield f"there is no option {key}=; {_suggest(key, directive.options)}"
        elif (fault := _value_fault(key, value, directive)) is not None:
            yield fault
    given = set(pragma.options)
    for word in pragma.words:
        key = _key_of_word(word, directive)
        if key is None:
            yield f"there is no option {word}; {_suggest(word, _spellings(directive))}"
        given.add(key or "")
    missing = [key for key in directive.required if key not in given]
    if missing:
        yield f"{' and '.join(missing)} must be given; add {' '.join(f'{key}=...' for key in missing)}"
    yield from _factor_faults(pragma)


def _value_fault(key: str, value: str, directive: Directive) -> str | None:
    kind = directive.options[key]
    if isinstance(kind, frozenset):
        return None if value.lower() in kind else f"{key}={value} is no choice; {_suggest(value.lower(), kind)}"
    if kind is Kind.FLAG:
        return None if value.lower() in ("true", "false") else f"{key} takes no value; write {key} alone"
    if kind is Kind.NUMBER and not _NUMBER.fullmatch(value):
        return f"{key}={value} is no number; write a number or the name of a constant"
    return None if value else f"{key}= has no value; write one"


def _key_of_word(word: str, directive: Directive) -> str | None:
    """The option that a bare word sets: itself if a flag, or the option that has the word among its choices."""
    if directive.options.get(word) is Kind.FLAG:
        return word
    return next((key for key, kind in directive.options.items() if isinstance(kind, frozenset) and word in kind), None)


def _spellings(directive: Directive) -> list[str]:
    choices = [word for kind in directive.options.values() if isinstance(kind, frozenset) for word in kind]
    return [*directive.options, *choices]


def _factor_faults(pragma: Pragma) -> Iterator[str]:
    if not pragma.directive.startswith("array_"):
        return
    kinds = [*pragma.words, pragma.options.get("type", "").lower()]
    kind = next((word for word in kinds if word in ("complete", "cyclic", "block")), None)
    if kind in ("cyclic", "block") and "factor" not in pragma.options:
        yield f"type={kind} needs factor=; add factor=N"
    if kind == "complete" and "factor" in pragma.options:
        yield "type=complete takes no factor=; remove it or choose cyclic or block"


def _is_in_scope(value: str, pragma: Pragma, scope: Scope, unit: Unit) -> bool:
    found = _NAME.match(value.removeprefix("this->"))
    if found is None or "," in value:
        return False
    name = found[1]
    if name == "return":
        return pragma.directive == "interface"
    function = next((node for node in (scope.owner, *scope.owner.ancestors()) if node.kind in FUNCTIONS), None)
    if pragma.directive in ("interface", "function_instantiate"):
        return function is not None and name in _parameters(function)
    return name in _visible(scope, pragma.line, function, unit)


def _parameters(function: Node) -> set[str]:
    return {child.spelling for child in function.children if child.kind == "PARM_DECL"}


def _visible(scope: Scope, line: int, function: Node | None, unit: Unit) -> set[str]:
    """Names declared before `line` in the scopes around a pragma, in the function's class, and in the file."""
    names = {root.spelling for root in unit.nodes if root.kind == "VAR_DECL" and not _is_local(root)}
    names |= {node.spelling for node in unit.nodes if node.kind == "FIELD_DECL" and function is not None}
    for node in (scope.body, *scope.body.ancestors()):
        for child in node.children:
            if child.kind in _SCOPED_VARIABLES:
                names.add(child.spelling)
            elif child.kind == "DECL_STMT" and child.line <= line:
                names |= {inner.spelling for inner in child.children if inner.kind == "VAR_DECL"}
    return names


def _is_local(node: Node) -> bool:
    return any(ancestor.kind in FUNCTIONS for ancestor in node.ancestors())


def _stands_at(pragma: Pragma, scope: Scope, place: Place, unit: Unit) -> bool:
    is_first = not scope.statements_before(pragma.line)
    if place is Place.LOOP_START:
        return scope.is_loop and is_first
    if place is Place.LOOP_OR_FUNCTION_START:
        return (scope.is_loop or scope.is_function) and is_first
    if place is Place.FUNCTION:
        return scope.is_function
    if place is Place.TOP:
        return scope.is_function and not _is_called(scope.owner, unit)
    return True


def _is_called(function: Node, unit: Unit) -> bool:
    key = function.cursor.get_usr()
    return any(key == callee for caller in unit.functions for callee, _ in caller.calls)
