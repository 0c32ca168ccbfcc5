"""One translation unit as the rules see it: functions, loops, pragmas tied to their scopes, and declarations."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hls.lint import clang
from hls.lint.constant import is_constant
from hls.lint.loop import Loop
from hls.lint.node import FUNCTIONS, LOOPS, VARIABLES, Node
from hls.lint.pragma import Pragma, parse_pragma
from hls.lint.source import Source


@dataclass(eq=False)
class Scope:
    """A `{ ... }` with the pragmas directly in it; `owner` is the function, loop or other statement it belongs to."""

    body: Node
    owner: Node
    pragmas: list[Pragma] = field(default_factory=list)

    @property
    def is_loop(self) -> bool:
        """Whether it is a loop's body."""
        return self.owner.kind in LOOPS

    @property
    def is_function(self) -> bool:
        """Whether it is the body of a function or a lambda."""
        return self.owner.kind in FUNCTIONS or self.owner.kind == "LAMBDA_EXPR"

    def statements_before(self, line: int) -> list[Node]:
        """Statements that begin before physical line `line`; empty ones and static_assert do not count."""
        return [child for child in self.body.children if child.line < line and not _is_inert(child)]

    def find(self, directive: str) -> Pragma | None:
        """The first pragma of that directive directly in this scope."""
        return next((pragma for pragma in self.pragmas if pragma.directive == directive), None)


@dataclass(eq=False)
class Function:
    """A function or function template with a body."""

    node: Node
    scope: Scope
    loops: list[Loop]
    head: str
    """Its source text before the body."""

    @property
    def name(self) -> str:
        """Its name, without namespace or class."""
        return self.node.spelling

    @property
    def key(self) -> str:
        """What tells it from other functions, overloads included."""
        return self.node.cursor.get_usr()

    @property
    def is_constexpr(self) -> bool:
        """Whether it is declared constexpr."""
        return "constexpr" in self.head.split()

    @functools.cached_property
    def calls(self) -> list[tuple[str, Node]]:
        """(key of the function called, call) for every call the parser could resolve, in source order."""
        calls = self.node.find("CALL_EXPR")
        return [(function_key(call.target), call) for call in calls if call.target is not None]


def function_key(cursor) -> str:
    """Key of a function; a specialization has the key of its template."""
    template = clang.cindex().conf.lib.clang_getSpecializedCursorTemplate(cursor)
    return (template or cursor).get_usr()


class Unit:
    """A parsed translation unit; everything from system headers is left out."""

    def __init__(self, source: Source, standard: str) -> None:
        self.source = source
        self._translation, self.duplicate_labels = clang.parse(source, standard)
        self.roots = [Node(cursor, None) for cursor in self._translation.cursor.get_children() if self._is_ours(cursor)]
        self.nodes = [node for root in self.roots for node in root.walk()]
        self.declarations = {node.cursor.location.offset: node for node in self.nodes if node.kind in VARIABLES}
        self.scopes = self._find_scopes()
        self.stray_pragmas: list[Pragma] = []
        self._attach_pragmas()
        self.functions = [self._function(scope) for scope in self.scopes if scope.owner.kind in FUNCTIONS]

    @property
    def path(self) -> Path:
        """The file given to the preprocessor."""
        return self.source.path

    def _is_ours(self, cursor) -> bool:
        return not self.source.origin(cursor.location.line).system

    def is_system(self, cursor) -> bool:
        """Whether a declaration comes from a system header, and so from the library rather than from our sources."""
        return not self._is_ours(cursor)

    def _find_scopes(self) -> list[Scope]:
        compounds = (node for node in self.nodes if node.kind == "COMPOUND_STMT" and node.parent is not None)
        return [Scope(node, node.parent) for node in compounds]

    def _attach_pragmas(self) -> None:
        for raw in self.source.pragmas:
            if (pragma := parse_pragma(raw)) is None:
                continue
            around = [scope for scope in self.scopes if scope.body.line < raw.line < scope.body.end_line]
            owner = max(around, key=lambda scope: scope.body.offset).pragmas if around else self.stray_pragmas
            owner.append(pragma)

    def _function(self, scope: Scope) -> Function:
        bodies = {id(inner.body): inner for inner in self.scopes}
        loops = [Loop(node, bodies.get(id(node.children[-1])), self) for node in scope.owner.find(*LOOPS)]
        head = self.source.data[scope.owner.offset : scope.body.offset].decode(errors="replace")
        return Function(scope.owner, scope, [loop for loop in loops if not loop.is_macro_wrapper], head)

    @functools.cached_property
    def by_key(self) -> dict[str, Function]:
        """Functions by key."""
        return {function.key: function for function in self.functions}

    def callee(self, call: Node) -> Function | None:
        """The function with a body in this unit that a call resolves to."""
        return None if call.target is None else self.by_key.get(function_key(call.target))

    def is_compile_time(self, line: int) -> bool:
        """Whether a physical line lies in a function that the compiler evaluates, so that it builds no hardware."""
        return any(function.node.line <= line <= function.node.end_line for function in self._compile_time_functions)

    @functools.cached_property
    def _compile_time_functions(self) -> list[Function]:
        """constexpr functions that nothing but each other calls with arguments known at run time only."""
        candidates = {function.key for function in self.functions if function.is_constexpr}
        while called := {key for key in candidates if self._is_called_at_run_time(key, candidates)}:
            candidates -= called
        return [function for function in self.functions if function.key in candidates]

    def _is_called_at_run_time(self, key: str, compile_time: set[str]) -> bool:
        name = self.by_key[key].name
        for function in self.functions:
            if function.key in compile_time:
                continue
            if any(callee == key and not is_constant(call, self) for callee, call in function.calls):
                return True
            if any(node.spelling == name for node in function.node.find("OVERLOADED_DECL_REF")):
                return True
        return False

    @property
    def loops(self) -> Iterator[Loop]:
        """All loops of all functions."""
        return (loop for function in self.functions for loop in function.loops)


def _is_inert(node: Node) -> bool:
    return node.kind in ("NULL_STMT", "STATIC_ASSERT") or (
        node.kind == "DECL_STMT" and all(child.kind == "STATIC_ASSERT" for child in node.children)
    )
