"""Dataflow: regions in the canonical form, and channels with one writer and one later reader."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hls.lint import constant
from hls.lint.clang import type_kind
from hls.lint.loop import Loop, is_const, is_writable
from hls.lint.node import Node
from hls.lint.registry import Hit, rule
from hls.lint.unit import Scope, Unit

_SCALAR = re.compile(r"(bool|char|(un)?signed|short|int|long|enum|ap_u?int<[^>]*>$)(?!.*[\[*])")
_HARMLESS = {"NULL_STMT", "STATIC_ASSERT"}
_DECLARES_NOTHING = {"TYPEDEF_DECL", "TYPE_ALIAS_DECL", "USING_DECLARATION", "USING_DIRECTIVE", "STATIC_ASSERT"}
_FORM = "a dataflow region holds only declarations of local variables and calls of void functions"
_LOOP = "A dataflow loop must be `for (int i = 0; i < bound; ++i)` with bound a constant or an argument of the function"


@dataclass(frozen=True)
class Use:
    """A variable handed to a process: the call, whether it may write the variable, whether it sees an array."""

    call: Node
    may_write: bool
    is_array: bool


@dataclass
class Channel:
    """A local variable of a region, or a part of one (`buffer[0]`), with its uses in the order of the calls."""

    name: str
    declared: Node
    uses: list[Use]

    @property
    def is_scalar(self) -> bool:
        """Whether it is an integer or a struct of nothing else, which is passed field by field; such may have many
        readers."""
        return _is_scalar(self.declared.cursor.type)


def _is_scalar(kind) -> bool:
    canonical = kind.get_canonical()
    if _SCALAR.match(canonical.spelling):
        return True
    fields = list(canonical.get_fields()) if type_kind(canonical) == "RECORD" else []
    return bool(fields) and not canonical.spelling.startswith("ap_") and all(_is_scalar(f.type) for f in fields)


@rule("dataflow-form")
def dataflow_form(unit: Unit) -> Iterator[Hit]:
    """Dataflow regions are in the canonical form."""
    for scope in _regions(unit):
        for statement in scope.body.children:
            if (fault := _statement_fault(statement, unit)) is not None:
                yield statement.line, f"{fault[0].upper()}{fault[1:]}, but {_FORM}; move it out."
        if scope.is_loop and not _is_simple(_loop_of(scope, unit), unit):
            yield scope.owner.line, f"{_LOOP}; give the loop a function of its own."


@rule("dataflow-channel")
def dataflow_channel(unit: Unit) -> Iterator[Hit]:
    """Each channel is written by one process and read by one later process."""
    for scope in _regions(unit):
        channels, outer = _uses(scope, unit)
        for channel in channels:
            yield from _scalar_faults(channel) if channel.is_scalar else _channel_faults(channel)
        for name, uses in outer.items():
            yield from _outer_faults(name, uses)


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
    if any(argument.base() is None and not constant.is_constant(argument, unit) for argument in call.operands[1:]):
        return f"an argument of {call.spelling} is computed here"
    return None


def _call(statement: Node) -> Node | None:
    """The function call that a statement consists of; None for operators, methods and everything else."""
    node = statement
    while (
        node.kind == "UNEXPOSED_EXPR" and len(node.children) == 1
    ):  # what keeps temporaries alive to the statement's end
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
    if loop.fault() is not None or loop.node.kind != "FOR_STMT" or loop.comparison is None:
        return False
    starts_at_zero = loop.start is not None and constant.value(loop.start, unit) == 0
    return starts_at_zero and list(loop.steps.values()) == ["++"] and _is_plain_bound(loop.comparison[2], unit)


def _is_plain_bound(bound: Node, unit: Unit) -> bool:
    """Whether a bound is a constant, an argument of the function, or a member of one."""
    named = bound.base() if bound.peel().kind in ("DECL_REF_EXPR", "MEMBER_REF_EXPR") else None
    is_argument = named is not None and named.target is not None and named.target.kind.name == "PARM_DECL"
    return is_argument or constant.is_constant(bound, unit)


def _uses(scope: Scope, unit: Unit) -> tuple[list[Channel], dict[str, list[Use]]]:
    """The region's channels, and the uses of arrays, pointers and references from outside it by name."""
    own = {node.cursor.location.offset: node for node in _local_variables(scope)}
    channels = {(key, node.spelling): Channel(node.spelling, node, []) for key, node in own.items()}
    outer: dict[str, list[Use]] = defaultdict(list)
    for call in filter(None, map(_call, scope.body.children)):
        for argument, kind in _arguments(call, unit):
            key, name = argument.declaration(), _channel_name(argument)
            use = Use(call, is_writable(kind), _is_array(kind))
            if key in own:
                channels.setdefault((key, name), Channel(name, own[key], [])).uses.append(use)
            elif _is_shared(kind):
                outer[name].append(use)
    in_parts = {key for key, name in channels if name != own[key].spelling}
    return [found for (key, _), found in channels.items() if found.uses or key not in in_parts], outer


def _local_variables(scope: Scope) -> Iterator[Node]:
    for statement in scope.body.children:
        if statement.kind == "DECL_STMT":
            variables = (node for node in statement.children if node.kind == "VAR_DECL")
            yield from (node for node in variables if not is_const(node.cursor.type))


def _channel_name(argument: Node) -> str:
    tokens = [token.spelling for token in argument.peel().cursor.get_tokens()]
    return "".join(tokens).lstrip("&*")


def _arguments(call: Node, unit: Unit) -> Iterator[tuple[Node, Any]]:
    """(argument, type of its parameter) for each argument that names a variable."""
    for argument, kind in zip(call.operands[1:], _parameter_types(call, unit), strict=False):
        if argument.base() is not None:
            yield argument, kind


def _is_shared(kind) -> bool:
    return _is_array(kind) or type_kind(kind.get_canonical()) == "LVALUEREFERENCE"


def _is_array(kind) -> bool:
    """Whether a parameter is an array, a pointer, or a reference to one of them."""
    canonical = kind.get_canonical()
    if type_kind(canonical) == "LVALUEREFERENCE":
        canonical = canonical.get_pointee()
    return type_kind(canonical) == "POINTER" or "ARRAY" in type_kind(canonical)


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


def _channel_faults(channel: Channel) -> Iterator[Hit]:
    name, line, uses = channel.name, channel.declared.line, channel.uses
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


def _scalar_faults(channel: Channel) -> Iterator[Hit]:
    """A scalar may have many readers, but they too come after its one writer."""
    if channel.uses and not channel.uses[0].may_write:
        yield channel.uses[0].call.line, f"{channel.name} is read before any process wrote it; call its writer first."
    for use in channel.uses[1:]:
        if use.may_write:
            yield use.call.line, f"{channel.name} may be written by a second process; pass it by value."


def _outer_faults(name: str, uses: list[Use]) -> Iterator[Hit]:
    """What comes from outside has at most one reader (if an array) and one writer, and is read before it is written."""
    for earlier, use in pairwise(uses):
        if earlier.may_write and use.may_write:
            yield use.call.line, f"{name} may be written by two processes; give each its own, or make one const."
        elif earlier.may_write:
            yield use.call.line, f"{name} is read after a process that may write it; read it first."
        elif not use.may_write and use.is_array:
            yield use.call.line, f"{name} is an array read by two processes; give each a port or copy of its own."
