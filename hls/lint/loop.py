"""A loop: its label, header and pragmas, whether it ends, and whether synthesis knows how often it runs."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hls.lint import constant
from hls.lint.clang import type_kind
from hls.lint.node import ASSIGNMENTS, LOOPS, Node
from hls.lint.pragma import Pragma

if TYPE_CHECKING:
    from hls.lint.unit import Scope, Unit

_UP = {"++", "+=", "*=", "<<="}
_DOWN = {"--", "-=", "/=", ">>="}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "!=": "!="}
_DIRECTION = {"<": _UP, "<=": _UP, ">": _DOWN, ">=": _DOWN, "!=": _UP | _DOWN}


@dataclass(frozen=True)
class Header:
    """The three parts of a `for (initial; condition; step)`; a part left empty is None."""

    initial: Node | None
    condition: Node | None
    step: Node | None


@dataclass(eq=False)
class Loop:
    """A loop of any kind; `scope` is None where its body is a single statement without braces."""

    node: Node
    scope: Scope | None
    unit: Unit

    @property
    def line(self) -> int:
        """Physical line it starts at."""
        return self.node.line

    @property
    def is_macro_wrapper(self) -> bool:
        """`do { ... } while (0)`, which runs once."""
        return self.node.kind == "DO_STMT" and constant.value(self.node.children[-1], self.unit) == 0

    @property
    def label(self) -> str | None:
        """The label right before it; None without one."""
        parent = self.node.parent
        return parent.spelling if parent is not None and parent.kind == "LABEL_STMT" else None

    @property
    def pragmas(self) -> list[Pragma]:
        """Pragmas directly in its body."""
        return [] if self.scope is None else self.scope.pragmas

    def find(self, directive: str) -> Pragma | None:
        """The first pragma of that directive directly in the loop's body."""
        return next((pragma for pragma in self.pragmas if pragma.directive == directive), None)

    @property
    def is_pipelined(self) -> bool:
        """Whether a pragma pipelines it."""
        pragma = self.find("pipeline")
        return pragma is not None and not pragma.is_off

    @property
    def inner(self) -> list[Loop]:
        """Loops nested in this one, at any depth."""
        nested = {id(node) for node in self.node.find(*LOOPS)} - {id(self.node)}
        return [loop for loop in self.unit.loops if id(loop.node) in nested]

    @functools.cached_property
    def header(self) -> Header:
        """Parts of a `for`, told apart by the semicolons around them, as libclang leaves empty ones out."""
        opening, first, second, closing = _punctuation(self.unit.source.data, self.node.offset)
        return Header(self._part(opening, first), self._part(first, second), self._part(second, closing))

    def _part(self, begin: int, end: int) -> Node | None:
        return next((child for child in self.node.children[:-1] if begin < child.offset < end), None)

    def fault(self) -> str | None:
        """Why the loop may never end, as the start of a sentence; None if it ends."""
        if self.node.kind == "CXX_FOR_RANGE_STMT":
            return None if self._ranges_over_array() else "the range-based for does not run over an array of fixed size"
        if self.node.kind != "FOR_STMT":
            return "a while or do loop has no bound that synthesis can see"
        if self.header.condition is None:
            return "the for loop has no condition"
        if self.comparison is None:
            return "the loop's condition is not a comparison of its induction variable with a bound"
        return self._comparison_fault(*self.comparison)

    def _comparison_fault(self, variable: int, symbol: str, bound: Node) -> str | None:
        body_changes = modified(self.node.children[-1], self.unit)
        if variable in body_changes:
            return "the loop's body changes its induction variable"
        if not self._is_invariant(bound, body_changes | set(self.steps)):
            return "the loop's bound changes while it runs"
        if self.steps[variable] not in _DIRECTION[symbol]:
            return "the loop's induction variable moves away from its bound"
        unsigned = self._variable_type(variable).startswith("unsigned")
        if symbol == ">=" and unsigned and constant.value(bound, self.unit) == 0:
            return "an unsigned induction variable is always >= 0"
        return None

    def _variable_type(self, variable: int) -> str:
        declared = self.unit.declarations.get(variable)
        return "" if declared is None else declared.cursor.type.get_canonical().spelling

    @functools.cached_property
    def steps(self) -> dict[int, str]:
        """Operator that advances each induction variable, by the variable's key."""
        found = [(operation, operation[1][0].declaration()) for operation in self._step_operations]
        return {variable: operation[0] for operation, variable in found if variable is not None}

    @property
    def _step_operations(self) -> list[tuple[str, list[Node]]]:
        nodes = self.header.step.walk() if self.header.step is not None else ()
        return [node.operation for node in nodes if node.operation is not None and node.operation[0] in _UP | _DOWN]

    @functools.cached_property
    def comparison(self) -> tuple[int, str, Node] | None:
        """(induction variable, comparison as if it stood on the left, bound)."""
        operation = self.header.condition.peel().operation if self.header.condition is not None else None
        if operation is None or operation[0] not in _MIRRORED or len(operation[1]) != 2:
            return None
        left, right = operation[1]
        for side, bound, symbol in ((left, right, operation[0]), (right, left, _MIRRORED[operation[0]])):
            if side.peel().kind == "DECL_REF_EXPR" and side.declaration() in self.steps:
                return side.declaration(), symbol, bound
        return None

    def _is_invariant(self, bound: Node, changed: set[int]) -> bool:
        if modified(bound, self.unit):
            return False
        references = bound.find("DECL_REF_EXPR", "MEMBER_REF_EXPR")
        return all(reference.declaration() not in changed for reference in references)

    def _ranges_over_array(self) -> bool:
        types = (child.cursor.type.get_canonical() for child in self.node.children if child.is_expression)
        return any("[" in kind.spelling for kind in types)

    @functools.cached_property
    def has_constant_count(self) -> bool:
        """Whether start, bound and step are constants, so that the loop can be unrolled and has a known trip count."""
        if self.node.kind == "CXX_FOR_RANGE_STMT":
            return self._ranges_over_array()
        comparison = self.comparison if self.node.kind == "FOR_STMT" else None
        if comparison is None:
            return False
        has_constant_bound = constant.is_constant(comparison[2], self.unit)
        return has_constant_bound and self._has_constant_start() and self._has_constant_step()

    @property
    def start(self) -> Node | None:
        """The expression that a `for` starts its induction variable from; None if the header gives none."""
        if self.header.initial is None or self.comparison is None:
            return None
        variable = self.comparison[0]
        for node in self.header.initial.walk():
            if node.kind == "VAR_DECL" and node.cursor.location.offset == variable:
                return node.initializer
            if (
                node.operation is not None
                and node.operation[0] == "="
                and node.operation[1][0].declaration() == variable
            ):
                return node.operation[1][1]
        return None

    def _has_constant_start(self) -> bool:
        return self.start is not None and constant.is_constant(self.start, self.unit)

    def _has_constant_step(self) -> bool:
        steps = [operands[1] for _, operands in self._step_operations if len(operands) == 2]
        return all(constant.is_constant(step, self.unit) for step in steps)


def modified(tree: Node, unit: Unit) -> set[int]:
    """Keys of the variables that a statement may change: assigned, passed by non-const reference, or address taken."""
    keys: set[int | None] = set()
    for node in tree.walk():
        operation = node.operation
        if operation is not None:
            if operation[0] in ASSIGNMENTS or (operation[0] == "&" and len(operation[1]) == 1):
                keys.add(operation[1][0].declaration())
        elif node.kind == "CALL_EXPR" and node.target is not None:
            keys |= {argument.declaration() for argument in changed_arguments(node)}
    return {key for key in keys if key is not None}


def changed_arguments(call: Node) -> list[Node]:
    """Arguments that the callee may write, and the object of a non-const method."""
    parameters = list(call.target.get_arguments())
    arguments = call.operands[len(call.operands) - len(parameters) :] if parameters else []
    pairs = zip(arguments, parameters, strict=False)  # a variadic callee takes more than it names
    return [argument for argument, parameter in pairs if is_writable(parameter.type)] + _changed_object(call)


def _changed_object(call: Node) -> list[Node]:
    callee = call.operands[0] if call.operands else None
    if callee is None or callee.kind != "MEMBER_REF_EXPR" or call.target.is_const_method():
        return []
    return callee.operands[:1]


def is_writable(kind) -> bool:
    """Whether a parameter of this type lets the callee write what it is given (non-const array, pointer, reference)."""
    canonical = kind.get_canonical()
    name = type_kind(canonical)
    if name in ("LVALUEREFERENCE", "RVALUEREFERENCE", "POINTER"):
        return not is_const(canonical.get_pointee())
    return name in ("CONSTANTARRAY", "INCOMPLETEARRAY", "DEPENDENTSIZEDARRAY") and not is_const(canonical)


def is_const(kind) -> bool:
    """Whether a variable of this type, or every element of an array of it, is const."""
    while not kind.is_const_qualified() and "ARRAY" in type_kind(kind):
        kind = kind.get_array_element_type()
    return kind.is_const_qualified()


def _punctuation(text: bytes, offset: int) -> tuple[int, int, int, int]:
    """Offsets of `(`, the two `;` and `)` of the `for` that starts at `offset`."""
    opening = text.index(b"(", offset)
    depth, semicolons, position = 1, [], opening
    while depth:
        position += 1
        character = text[position : position + 1]
        depth += (character in (b"(", b"{", b"[")) - (character in (b")", b"}", b"]"))
        if character == b";" and depth == 1:
            semicolons.append(position)
    return opening, semicolons[0], semicolons[1], position
