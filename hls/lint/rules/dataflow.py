"""Dataflow: regions in the canonical form, and channels with one writer and one later reader."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from hls.lint import constant
from hls.lint.clang import type_kind
from hls.lint.loop import Loop, is_const, is_writable
from hls.lint.node import FUNCTIONS, Node
from hls.lint.registry import Hit, rule
from hls.lint.unit import Scope, Unit

_HARMLESS = {"NULL_STMT", "STATIC_ASSERT"}
_DECLARES_NOTHING = {"TYPEDEF_DECL", "TYPE_ALIAS_DECL", "USING_DECLARATION", "USING_DIRECTIVE", "STATIC_ASSERT"}
_FORM = "a dataflow region holds only declarations of local variables and calls of void functions"


@dataclass(frozen=True)
class Use:
    """A channel handed to a callee: the call, its place in the region, and whether the callee may write the channel."""

    call: Node
    position: int
    may_write: bool


@rule("dataflow-form", "dataflow regions are in the canonical form")
def dataflow_form(unit: Unit) -> Iterator[Hit]:
    for scope in _regions(unit):
        for statement in scope.body.children:
            if (fault := _statement_fault(statement, unit)) is not None:
                yield statement.line, f"{fault[0].upper()}{fault[1:]}, but {_FORM}; move it into a process."
        if scope.is_loop and not _is_simple(_loop_of(scope, unit), unit):
            yield scope.owner.line, "A dataflow loop must be `for (i = 0; i < bound; ++i)` with bound a constant or an argument."


@rule("dataflow-channel", "each channel is written by one process and read by one later process")
def dataflow_channel(unit: Unit) -> Iterator[Hit]:
    for scope in _regions(unit):
        local, outer = _uses(scope, unit)
        for name, (line, uses) in local.items():
            yield from _channel_faults(name, line, uses)
        for name, uses in outer.items():
            if len(uses) > 1 and any(use.may_write for use in uses):
                yield uses[1].call.line, f"{name} is used by two processes, one of which may write it; pass it to one of them."


def _regions(unit: Unit) -> list[Scope]:
    return [scope for scope in unit.scopes if scope.find("dataflow") is not None]


def _loop_of(scope: Scope, unit: Unit) -> Loop:
    return next(loop for loop in unit.loops if loop.node is scope.owner)


def _statement_fault(statement: Node, unit: Unit) -> str | None:
    if statement.kind in _HARMLESS:
        return None
    if statement.kind == "DECL_STMT":
        faults = (_declaration_fault(child, unit) for child in statement.children)
        return next((fault for fault in faults if fault is not None), None)
    call = _call(statement)
    if call is None:
        return "this statement is no call"
    if call.cursor.type.spelling not in ("void", "<dependent type>"):
        return f"{call.spelling} returns a value"
    return None


def _call(statement: Node) -> Node | None:
    """The function call that a statement consists of; None for operators, methods and everything else."""
    node = statement
    while node.kind == "UNEXPOSED_EXPR" and len(node.children) == 1:  # what keeps temporaries alive to the statement's end
        node = node.children[0]
    if node.kind != "CALL_EXPR" or node.operation is not None:
        return None
    return None if node.operands and node.operands[0].kind == "MEMBER_REF_EXPR" else node


def _declaration_fault(declared: Node, unit: Unit) -> str | None:
    if declared.kind in _DECLARES_NOTHING:
        return None
    if declared.kind != "VAR_DECL":
        return f"{declared.spelling or 'this'} is no variable"
    if declared.cursor.storage_class.name == "STATIC" and not is_const(declared.cursor.type):
        return f"{declared.spelling} is static"
    initializer = declared.initializer
    if initializer is None or _is_construction(initializer):
        return None
    if is_const(declared.cursor.type) and constant.is_constant(initializer, unit):
        return None
    return f"{declared.spelling} is initialized with a computed value"


def _is_construction(initializer: Node) -> bool:
    """Whether a variable is merely constructed: `hls::stream<T> s("name")`."""
    strings = list(initializer.find("STRING_LITERAL"))
    return initializer.kind == "CALL_EXPR" and len(initializer.operands) == len(strings)


def _is_simple(loop: Loop, unit: Unit) -> bool:
    if loop.fault() is not None or loop.node.kind != "FOR_STMT" or loop.header.condition is None:
        return False
    comparison = loop.comparison
    bound = comparison[2].peel() if comparison is not None else None
    starts_at_zero = loop.start is not None and constant.value(loop.start, unit) == 0
    plain_bound = bound is not None and (bound.kind in ("DECL_REF_EXPR", "MEMBER_REF_EXPR") or constant.is_constant(bound, unit))
    return starts_at_zero and plain_bound and set(loop.steps.values()) == {"++"}


def _uses(scope: Scope, unit: Unit) -> tuple[dict[str, tuple[int, list[Use]]], dict[str, list[Use]]]:
    """Uses by channel: of the region's own variables with the line that declares them, and of those from outside."""
    own = {
        child.cursor.location.offset: child
        for statement in scope.body.children
        if statement.kind == "DECL_STMT"
        for child in statement.children
        if child.kind == "VAR_DECL" and not is_const(child.cursor.type)
    }
    local: dict[str, tuple[int, list[Use]]] = {child.spelling: (child.line, []) for child in own.values()}
    outer: dict[str, list[Use]] = defaultdict(list)
    for position, statement in enumerate(scope.body.children):
        call = _call(statement)
        for argument, may_write, is_shared in _arguments(call, unit) if call is not None else ():
            key, name = argument.declaration(), _channel_name(argument)
            use = Use(call, position, may_write)
            if key in own:
                declared = own[key]
                parts = local.setdefault(name, (declared.line, []))
                parts[1].append(use)
            elif is_shared:
                outer[name].append(use)
    whole = {child.spelling for child in own.values()}
    partly = {name.partition("[")[0].partition(".")[0] for name in local if name not in whole}
    return {name: found for name, found in local.items() if found[1] or name not in partly}, outer


def _channel_name(argument: Node) -> str:
    tokens = [token.spelling for token in argument.peel().cursor.get_tokens()]
    return "".join(tokens).lstrip("&*")


def _arguments(call: Node, unit: Unit) -> Iterator[tuple[Node, bool, bool]]:
    """(argument, the callee may write it, it is an array, pointer or reference) for each argument with a variable."""
    types = _parameter_types(call, unit)
    for argument, kind in zip(call.operands[1:], types):
        if argument.base() is None:
            continue
        yield argument, is_writable(kind), _is_shared(kind)


def _is_shared(kind) -> bool:
    name = type_kind(kind.get_canonical())
    return name in ("LVALUEREFERENCE", "POINTER") or "ARRAY" in name


def _parameter_types(call: Node, unit: Unit) -> list:
    callee = call.target or _overload(call, unit)
    return [] if callee is None else _types(callee)


def _types(callee) -> list:
    if callee.kind.name == "FUNCTION_TEMPLATE":
        return [child.type for child in callee.get_children() if child.kind.name == "PARM_DECL"]
    return [parameter.type for parameter in callee.get_arguments()]


def _overload(call: Node, unit: Unit):
    """The function template that an unresolved call inside a template names, if just one has that name."""
    names = [node.spelling for node in call.operands[0].find("OVERLOADED_DECL_REF")] if call.operands else []
    found = [function for function in unit.functions if names and function.name == names[0]]
    return found[0].node.cursor if len(found) == 1 else None


def _channel_faults(name: str, line: int, uses: list[Use]) -> Iterator[Hit]:
    if not uses:
        yield line, f"{name} is declared in a dataflow region and used by no process; remove it."
    elif not uses[0].may_write:
        yield uses[0].call.line, f"{name} is read before any process wrote it; call its writer first."
    elif len(uses) == 1:
        yield line, f"{name} is written but no later process reads it; remove it or read it."
    elif uses[0].call is uses[1].call:
        yield uses[1].call.line, f"{name} goes to one process twice; give it one writer and one later reader."
    elif len(uses) > 2:
        yield uses[2].call.line, f"{name} is used by a third process; give each reader a channel of its own."
