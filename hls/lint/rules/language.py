"""Language: control flow and types that have no hardware."""

from __future__ import annotations

from collections.abc import Iterator

from hls.lint.registry import Hit, rule
from hls.lint.unit import Unit


def _kinds(unit: Unit, kinds: set[str], sentence: str) -> Iterator[Hit]:
    return ((node.line, sentence) for node in unit.nodes if node.kind in kinds)


@rule("exception", "no throw, try or catch")
def exception(unit: Unit) -> Iterator[Hit]:
    yield from _kinds(
        unit, {"CXX_THROW_EXPR", "CXX_TRY_STMT"}, "Exceptions have no hardware; return a status code instead."
    )


@rule("rtti", "no dynamic_cast or typeid")
def rtti(unit: Unit) -> Iterator[Hit]:
    yield from _kinds(
        unit, {"CXX_DYNAMIC_CAST_EXPR", "CXX_TYPEID_EXPR"}, "Types are not known at run time; use templates or a tag field."
    )


@rule("goto", "no goto")
def goto(unit: Unit) -> Iterator[Hit]:
    yield from _kinds(unit, {"GOTO_STMT", "INDIRECT_GOTO_STMT"}, "goto is not synthesized; use if, break or a bounded loop.")
