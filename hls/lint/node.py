"""A syntax tree with parents over libclang's cursors, and the questions every rule asks of an expression."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from hls.lint import clang

ASSIGNMENTS = {"=", "*=", "/=", "%=", "+=", "-=", "<<=", ">>=", "&=", "^=", "|=", "++", "--"}
LOOPS = {"FOR_STMT", "WHILE_STMT", "DO_STMT", "CXX_FOR_RANGE_STMT"}
FUNCTIONS = {"FUNCTION_DECL", "FUNCTION_TEMPLATE", "CXX_METHOD", "CONSTRUCTOR", "DESTRUCTOR", "CONVERSION_FUNCTION"}
VARIABLES = {"VAR_DECL", "PARM_DECL", "FIELD_DECL"}
LITERALS = {"INTEGER_LITERAL", "CHARACTER_LITERAL", "CXX_BOOL_LITERAL_EXPR", "CXX_UNARY_EXPR", "SIZE_OF_PACK_EXPR"}
_CASTS = {"CSTYLE_CAST_EXPR", "CXX_STATIC_CAST_EXPR", "CXX_FUNCTIONAL_CAST_EXPR", "UNEXPOSED_EXPR", "PAREN_EXPR"}
_CONVERSIONS = {"CONSTRUCTOR", "CONVERSION_FUNCTION"}
_OPERATOR = re.compile(r"operator\s*([^\w\s(].*)")


class Node:
    """A cursor with its parent and children; `kind` is libclang's name of the kind, `line` a physical line."""

    def __init__(self, cursor, parent: Node | None) -> None:
        self.cursor = cursor
        self.parent = parent
        self.kind: str = cursor.kind.name
        start, end = cursor.extent.start, cursor.extent.end
        self.line: int = start.line
        self.offset: int = start.offset
        self.end_line: int = end.line
        self.children = [Node(child, self) for child in cursor.get_children()]

    @functools.cached_property
    def spelling(self) -> str:
        """Name of the cursor; empty where it has none."""
        return self.cursor.spelling

    @functools.cached_property
    def target(self):
        """Cursor of the declaration this node names or calls; None where a template leaves it open."""
        return self.cursor.referenced

    @functools.cached_property
    def is_expression(self) -> bool:
        """Whether libclang calls it an expression."""
        return self.cursor.kind.is_expression()

    @functools.cached_property
    def operands(self) -> list[Node]:
        """Children that are expressions of the source (libclang invents one for the postfix ++ of a class)."""
        return [child for child in self.children if child.is_expression and child.line]

    @functools.cached_property
    def initializer(self) -> Node | None:
        """What a variable is initialized with; None if nothing."""
        found = clang.initializer(self.cursor)
        return None if found is None else next((child for child in self.children if child.cursor == found), None)

    def walk(self) -> Iterator[Node]:
        """This node and everything below it, in source order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def find(self, *kinds: str) -> Iterator[Node]:
        """Nodes of the given kinds at or below this one."""
        return (node for node in self.walk() if node.kind in kinds)

    def ancestors(self) -> Iterator[Node]:
        """Parent, its parent, and so on."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    def peel(self) -> Node:
        """The expression inside parentheses, casts and implicit conversions."""
        if len(self.operands) == 1 and (self.kind in _CASTS or self._is_conversion()):
            return self.operands[0].peel()
        return self

    def _is_conversion(self) -> bool:
        if self.kind != "CALL_EXPR":
            return False
        if self.target is None:
            return self.spelling == "" and self.operands[0].kind in ("UNEXPOSED_EXPR", "CALL_EXPR")
        return self.target.kind.name in _CONVERSIONS

    @functools.cached_property
    def operation(self) -> tuple[str, list[Node]] | None:
        """Operator and operands, of built-in types and of classes (`operator+=`) alike; None for anything else."""
        if self.kind in ("BINARY_OPERATOR", "COMPOUND_ASSIGNMENT_OPERATOR"):
            return clang.binary_operator(self.cursor), self.operands
        if self.kind == "UNARY_OPERATOR":
            return clang.unary_operator(self.cursor), self.operands
        if self.kind != "CALL_EXPR":
            return None
        for position, operand in enumerate(self.operands[:2]):
            if (symbol := operand._operator_symbol()) is not None:
                return symbol, self.operands[:position] + self.operands[position + 1 :]
        return None

    def _operator_symbol(self) -> str | None:
        """`+=` where this node is the callee `operator+=` of a class operator, resolved or still overloaded."""
        node = self
        while node.kind == "UNEXPOSED_EXPR" and len(node.children) == 1:
            node = node.children[0]
        if node.kind != "DECL_REF_EXPR":
            return None
        found = _OPERATOR.fullmatch(node.spelling or (node.children[0].spelling if node.children else ""))
        return None if found is None else found[1]

    def base(self) -> Node | None:
        """The variable an lvalue starts from: `a` in `a`, `a[i]`, `a.b`, `*a`; None if there is none."""
        node = self.peel()
        if node.kind == "DECL_REF_EXPR":
            return node
        if node.kind == "MEMBER_REF_EXPR":
            return node.operands[0].base() if node.operands else node
        operation = node.operation
        if node.kind == "ARRAY_SUBSCRIPT_EXPR":
            return node.operands[0].base()
        if operation is not None and operation[0] in ("[]", "*", "&") and operation[1]:
            return operation[1][0].base()
        if node.kind == "CALL_EXPR" and node.operands:  # a method that returns a part: `a.range(7, 0)`
            return node.operands[0].base() if node.operands[0].kind == "MEMBER_REF_EXPR" else None
        return None

    def declaration(self) -> int | None:
        """Key of the variable that the lvalue starts from: the offset of its declaration."""
        base = self.base()
        return None if base is None or base.target is None else base.target.location.offset
