"""Language: control flow and types that have no hardware."""

from __future__ import annotations

from collections.abc import Iterator

from hls.lint.registry import Hit, rule
from hls.lint.unit import Unit


def _kinds(unit: Unit, kinds: set[str], sentence: str) -> Iterator[Hit]:
    return ((node.line, sentence) for node in unit.nodes if node.kind in kinds)


@rule("exception")
def exception(unit: Unit) -> Iterator[Hit]:
    """No throw, try or catch."""
    kinds = {"CXX_THROW_EXPR", "CXX_TRY_STMT"}
    yield from _kinds(unit, kinds, "Exceptions have no hardware; return a status code instead.")


@rule("rtti")
def rtti(unit: Unit) -> Iterator[Hit]:
    """No dynamic_cast or typeid."""
    kinds = {"CXX_DYNAMIC_CAST_EXPR", "CXX_TYPEID_EXPR"}
    yield from _kinds(unit, kinds, "Types are not known at run time; use templates or a tag field.")


@rule("goto")
def goto(unit: Unit) -> Iterator[Hit]:
    """No goto."""
    kinds = {"GOTO_STMT", "INDIRECT_GOTO_STMT"}
    yield from _kinds(unit, kinds, "goto is not synthesized; use if, break or a bounded loop.")
