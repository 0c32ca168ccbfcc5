"""Loops: they end, their trip counts are known or stated, and pipelined ones have names that reports can use."""

from __future__ import annotations

from collections.abc import Iterator

from hls.lint.loop import Loop
from hls.lint.node import Node
from hls.lint.registry import Hit, rule
from hls.lint.rules.calls import reachable
from hls.lint.unit import Function, Unit

_IN_PIPELINE = "cannot be unrolled inside"


@rule("unbounded-loop")
def unbounded_loop(unit: Unit) -> Iterator[Hit]:
    """Every loop is a for that compares its induction variable with something loop-invariant."""
    for loop in unit.loops:
        if (fault := loop.fault()) is not None:
            yield loop.line, f"{fault[0].upper()}{fault[1:]}; write `for (i = start; i < bound; ++i)`."


@rule("tripcount")
def tripcount(unit: Unit) -> Iterator[Hit]:
    """A loop whose trip count depends on data states `loop_tripcount max=`."""
    for loop in unit.loops:
        if loop.fault() is not None or loop.has_constant_count:
            continue
        pragma = loop.find("loop_tripcount")
        if pragma is None or "max" not in pragma.options:
            yield loop.line, "The trip count depends on data; add `#pragma HLS loop_tripcount max=N`."


@rule("unlabelled-pipeline")
def unlabelled_pipeline(unit: Unit) -> Iterator[Hit]:
    """Every pipelined loop has a label."""
    for loop in unit.loops:
        if loop.is_pipelined and loop.label is None:
            yield loop.line, "A pipelined loop has no label to be found by in reports; write `name: for (...)`."


@rule("duplicate-label")
def duplicate_label(unit: Unit) -> Iterator[Hit]:
    """Labels are unique in a function."""
    for line in unit.duplicate_labels:
        yield line, "The function has this label already; give each loop a name of its own."


@rule("variable-inner-loop")
def variable_inner_loop(unit: Unit) -> Iterator[Hit]:
    """Loops inside a pipeline have constant bounds, as they are unrolled."""
    for loop, inner in _loops_in_pipelines(unit):
        if not inner.has_constant_count:
            yield inner.line, f"A loop of variable length {_IN_PIPELINE} {loop}; make start, bound and step constant."
    for name, call, callee in _calls_in_pipelines(unit):
        if any(not loop.has_constant_count for loop in callee.loops):
            yield (
                call.line,
                f"{callee.name} has a loop of variable length, which {_IN_PIPELINE} {name}; fix its bounds.",
            )


def _loops_in_pipelines(unit: Unit) -> Iterator[tuple[str, Loop]]:
    for function in unit.functions:
        if _is_pipelined(function):
            yield from ((f"the pipelined function {function.name}", inner) for inner in function.loops)
        for loop in function.loops:
            if loop.is_pipelined:
                yield from ((_name(loop), inner) for inner in loop.inner)


def _calls_in_pipelines(unit: Unit) -> Iterator[tuple[str, Node, Function]]:
    for function in unit.functions:
        regions = [(_name(loop), loop.node) for loop in function.loops if loop.is_pipelined]
        if _is_pipelined(function):
            regions.append((f"the pipelined function {function.name}", function.node))
        for name, region in regions:
            inside = {id(node) for node in region.find("CALL_EXPR")}
            for key, call in function.calls:
                if id(call) in inside:
                    callees = sorted({key} | reachable(unit, key))
                    yield from ((name, call, unit.by_key[callee]) for callee in callees if callee in unit.by_key)


def _name(loop: Loop) -> str:
    return f"the pipelined loop {loop.label or ''}".rstrip()


def _is_pipelined(function: Function) -> bool:
    pragma = function.scope.find("pipeline")
    return pragma is not None and not pragma.is_off
