"""Memory: all of it is declared, none is allocated, and no local survives its call."""

from __future__ import annotations

from collections.abc import Iterator

from hls.lint.clang import cindex
from hls.lint.loop import is_const
from hls.lint.node import FUNCTIONS
from hls.lint.registry import Hit, rule
from hls.lint.unit import Unit

ALLOCATORS = {"malloc", "calloc", "realloc", "free", "aligned_alloc", "alloca"}


@rule("dynamic-allocation")
def dynamic_allocation(unit: Unit) -> Iterator[Hit]:
    """No new, delete, malloc, calloc, realloc or free."""
    for node in unit.nodes:
        calls_allocator = node.kind == "CALL_EXPR" and node.spelling in ALLOCATORS
        if calls_allocator or node.kind in ("CXX_NEW_EXPR", "CXX_DELETE_EXPR"):
            yield node.line, "Memory is allocated or freed at run time; declare an array of fixed size instead."


@rule("static-local")
def static_local(unit: Unit) -> Iterator[Hit]:
    """No static local variable that can change."""
    static = cindex().StorageClass.STATIC
    for node in unit.nodes:
        if node.kind != "VAR_DECL" or node.cursor.storage_class != static or is_const(node.cursor.type):
            continue
        if any(ancestor.kind in FUNCTIONS for ancestor in node.ancestors()):
            yield node.line, f"Static local {node.spelling} keeps state between calls; pass it in, or make it const."
