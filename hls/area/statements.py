"""Statements: declarations, branches, and loops that are pipelined, unrolled or run one step after the other."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from hls.area.expressions import Expressions
from hls.area.place import Cell, Element, Record, Store, array_shape, is_dependent
from hls.area.value import Value, clip, constant, width
from hls.lint import clang
from hls.lint.loop import Loop, modified
from hls.lint.node import Node
from hls.lint.unit import Unit


class Statements(Expressions):
    """Reads statements in order."""

    def __init__(self, unit: Unit, top: str, clock_mhz: int) -> None:
        super().__init__(unit, top, clock_mhz)
        self._loops = {id(loop.node): loop for loop in unit.loops}
        self._is_region = False  # whether the statement stands directly in a dataflow region

    def _run(self, nodes: list[Node]) -> bool:
        """Read statements in order; whether they return."""
        for place, node in enumerate(nodes):
            if node.kind == "IF_STMT" and len(node.children) == 2 and _returns(node.children[1]):
                rest = partial(self._run, nodes[place + 1 :])  # what follows an early return is its other side
                return self._fork(self._value(node.children[0]), partial(self._run, [node.children[1]]), rest)
            if self._statement(node):
                return True
        return False

    def _statement(self, node: Node) -> bool:
        """Read a statement; whether what follows it is left out, by a return or a jump."""
        if node.line:
            self._line = node.line
        if node.kind == "RETURN_STMT":
            if node.operands:
                self._return(node.operands[0])
            return True
        if node.kind in ("BREAK_STMT", "CONTINUE_STMT"):
            return True
        if node.kind in ("LABEL_STMT", "CASE_STMT", "DEFAULT_STMT"):
            return self._statement(node.children[-1])
        if node.kind in _COMPOUND:
            return _COMPOUND[node.kind](self, node)
        if node.is_expression:
            self._eval(node)
        return False

    def _block(self, node: Node) -> bool:
        return self._run(node.children)

    def _declarations(self, node: Node) -> bool:
        for child in node.children:
            if child.kind == "VAR_DECL":
                self._declaration(child)
        return False

    def _if(self, node: Node) -> bool:
        sides = [partial(self._statement, side) for side in node.children[1:]]
        return self._fork(self._value(node.children[0]), sides[0], sides[1] if len(sides) > 1 else lambda: False)

    def _switch(self, node: Node) -> bool:
        self._value(node.children[0])
        for child in node.children[1].children:  # cases follow each other, each with its jump behind it
            self._statement(child)
        return False

    def _return(self, node: Node) -> None:
        result = self._eval(node)
        self._frames[-1].returned.append(result if isinstance(result, Record) else self._read(result))

    def _declaration(self, node: Node) -> None:
        """A variable; one that stands in a dataflow region is a channel between its tasks."""
        kind, key, frame = node.cursor.type, node.cursor.location.offset, self._frames[-1]
        if clang.type_kind(kind.get_canonical()).endswith("REFERENCE") and node.initializer is not None:
            frame.variables[key] = self._eval(node.initializer)
            return
        dims, element = array_shape(kind)
        if not dims and node.initializer is not None and is_dependent(element):  # a template's struct: a copy's type
            source = self._eval(node.initializer)
            element = source.type if isinstance(source, Record) else element
        if -1 in dims:  # a template decides: the sizes stand in the declaration, the last one first
            sizes = [self._value(child).low for child in node.operands if child is not node.initializer]
            dims = tuple(reversed(sizes[: len(dims)]))
        if self._is_region and not self._dry:
            self._module.channels += 1
        copies = 2 if self._is_region else 1
        made = self._declare(node.spelling, element, dims, frame, self._section.is_pipelined, copies)
        frame.variables[key] = made
        if node.initializer is not None:
            self._initialise(made, node.initializer)

    def _initialise(self, place: Any, node: Node) -> None:
        if isinstance(place, Store):
            for index, child in enumerate(node.operands):
                result = self._eval(child)
                if isinstance(result, (Value, Cell, Element)):
                    self._store(Element(place, (constant(index),)), self._read(result))
            return
        if isinstance(place, Cell) and node.kind == "CALL_EXPR" and not node.operands:
            return  # the default constructor of a number leaves it open, so whatever comes is not chosen against it
        value = self._eval(node)
        if isinstance(place, Cell) and isinstance(value, (Value, Cell, Element)):
            place.value = self._convert(self._read(value), place.bounds)
        elif isinstance(place, Record):
            self._assign_record(place, value)

    def _interval(self, options: dict[str, str]) -> int:
        """The initiation interval that a pragma states, as a number or as a constant of the kernels."""
        text = str(options.get("ii", 1))
        found = re.search(rf"constexpr \w+ {text} = (\d+);".encode(), self.unit.source.data)
        return int(found[1] if found else text)

    def _for(self, node: Node) -> bool:
        """A loop: unrolled, a pipeline of its own, or one iteration after the other."""
        loop = self._loops.get(id(node))
        if loop is None:  # a macro's wrapper, which runs once
            return self._statement(node.children[0])
        unroll, pipeline = loop.find("unroll"), loop.find("pipeline")
        if loop.header.initial is not None:
            self._statement(loop.header.initial)
        if self._section.is_pipelined or (unroll is not None and not unroll.is_off):
            self._unroll(loop)
        elif pipeline is not None and not pipeline.is_off:
            name, initiation = loop.label or f"line {loop.line}", self._interval(pipeline.options)
            section = self._new_section(name, loop.line, True, initiation)
            self._forget(loop)
            with self._within(section):
                self._body(loop)
        else:
            self._forget(loop)
            self._body(loop)
            if loop.header.step is not None:
                self._eval(loop.header.step)
        return False

    def _body(self, loop: Loop) -> None:
        self._induction(loop)
        outer, self._is_region = self._is_region, loop.find("dataflow") is not None
        self._statement(loop.node.children[-1])
        self._is_region = outer

    def _forget(self, loop: Loop) -> None:
        """What a loop changes is known by type only."""
        frame = self._frames[-1]
        for key in modified(loop.node, self.unit):
            self._forget_place(frame.variables.get(key))

    def _forget_place(self, place: Any) -> None:
        if isinstance(place, Cell):
            self._note(place)
            place.value = self._unknown(place.bounds)
            if not self._section.is_pipelined and not self._dry:
                self._section.ff += width(*place.bounds)
        elif isinstance(place, Record):
            for inner in place.fields.values():
                self._forget_place(inner)
        elif isinstance(place, Store):
            place.version += 1
            if place.content is not None and place.memory is not None and not place.memory.is_rom:
                place.content.value = None

    def _induction(self, loop: Loop) -> None:
        """The range of a loop's variable, from its bound where that is constant."""
        if loop.comparison is None:
            return
        variable, symbol, bound = loop.comparison
        cell = self._frames[-1].variables.get(variable)
        if not isinstance(cell, Cell):
            return
        if symbol not in ("<", "<=") or loop.start is None:
            cell.value = self._unknown(cell.bounds)
            return
        low, limit = self._value(loop.start).low, self._value(bound).high
        cell.value = self._unknown(clip((low, max(limit - (symbol == "<"), low)), cell.bounds))

    def _trips(self, loop: Loop) -> tuple[int, int]:
        """(start, iterations) of an unrolled loop."""
        assert loop.comparison is not None
        assert loop.start is not None
        _, symbol, bound = loop.comparison
        start, limit = self._value(loop.start), self._value(bound)
        step = 1
        for _, operands in loop._step_operations:
            if len(operands) == 2:
                step = max(1, abs(self._value(operands[1]).low))
        if symbol in (">", ">="):
            return start.low, max(0, math.ceil((start.high - limit.low + (symbol == ">=")) / step))
        return start.low, max(0, math.ceil((limit.high - start.low + (symbol == "<=")) / step))

    def _unroll(self, loop: Loop) -> None:
        """All iterations at once: the body is read once, for a variable that stands for all its values."""
        start, trips = self._trips(loop)
        if trips == 0:
            return
        assert loop.comparison is not None
        cell = self._frames[-1].variables[loop.comparison[0]]
        assert isinstance(cell, Cell)
        mark, body = next(self._fresh), loop.node.children[-1]
        index = constant(start)
        if trips > 1:
            index = Value(start, start + trips - 1, ("unrolled", mark), frozenset([mark]), True)
        cell.value = index
        self._unrolled[mark] = trips
        if trips > 1:
            self._carry(mark, trips, partial(self._statement, body))
            cell.value = index
        self._statement(body)
        del self._unrolled[mark]

    def _carry(self, mark: int, trips: int, body: Callable[[], object]) -> None:
        """Prepare what iterations hand on: read the body once without counting, and extend what changed."""
        self._journals.append({})
        self._known.append({})
        self._dry += 1
        body()
        self._dry -= 1
        self._known.pop()
        for cell, old in self._journals.pop().items():
            new = cell.value
            self._note(cell)
            cell.value = old if old is None or new is None else self._carried(cell, old, new, mark, trips)

    def _carried(self, cell: Cell, old: Value, new: Value, mark: int, trips: int) -> Value:
        """What a cell holds in any of the iterations, if each moves it as far as the first."""
        low = old.low - max(0, old.low - new.low) * (trips - 1)
        high = old.high + max(0, new.high - old.high) * (trips - 1)
        low, high = clip((low, high), cell.bounds)
        loops = (old.loops | new.loops | {mark}) & self._unrolled.keys()
        product = old.product or (old.is_zero and new.accumulated)
        key, fixed = ("carried", mark, id(cell)), old.fixed and new.fixed
        return Value(low, high, key, loops, fixed, old.ready, old.ready, product, is_carried=True)


def _returns(node: Node) -> bool:
    if node.kind == "COMPOUND_STMT":
        return bool(node.children) and _returns(node.children[-1])
    return node.kind in ("RETURN_STMT", "BREAK_STMT", "CONTINUE_STMT")


_COMPOUND = {
    "COMPOUND_STMT": Statements._block,
    "DECL_STMT": Statements._declarations,
    "IF_STMT": Statements._if,
    "SWITCH_STMT": Statements._switch,
    "FOR_STMT": Statements._for,
    "WHILE_STMT": Statements._for,
    "DO_STMT": Statements._for,
}
