"""Expressions: what they compute, or which place they name."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hls.area import cost as costs
from hls.area.assumptions import A
from hls.area.cost import Cost
from hls.area.datapath import COMPARISONS, LONGEST
from hls.area.memories import Memories
from hls.area.memory import Kind
from hls.area.place import Cell, Element, Record, Store, bounds_of
from hls.area.value import Interval, Value, constant
from hls.lint import clang
from hls.lint.node import LITERALS, Node
from hls.lint.unit import Function, Unit

_ASSIGN = {"+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="}
_WORD_PARTS = {"get16": 16, "get32": 32, "put16": 16, "put32": 32}
_SIZED = re.compile(r"(?:const )?ap_(u?)int<([A-Za-z_]\w*)>")
_PORTS = {"read_word", "write_word"}
_WORD = (0, (1 << 128) - 1)


class Expressions(Memories):
    """Evaluates expressions; functions are called by the class that derives from it."""

    def __init__(self, unit: Unit, top: str, clock_mhz: int) -> None:
        super().__init__(unit, top, clock_mhz)
        self._by_name = {function.name: function for function in unit.functions}

    def _call(self, function: Function, arguments: list[Any], templates: dict[str, int]) -> Any:
        """What a call returns."""
        raise NotImplementedError

    def _value(self, node: Node) -> Value:
        """The number an expression gives."""
        return self._read(self._eval(node))

    def _eval(self, node: Node) -> Any:
        """A number, or the place that an expression names."""
        if node.kind in LITERALS:
            return constant(clang.evaluate(node.cursor) or 0)
        if node.kind == "DECL_REF_EXPR":
            return self._reference(node)
        if node.kind == "MEMBER_REF_EXPR":
            return self._member(node)
        if node.kind == "ARRAY_SUBSCRIPT_EXPR":
            return self._subscript(self._eval(node.operands[0]), self._value(node.operands[1]))
        if node.kind == "CONDITIONAL_OPERATOR":
            return self._conditional(node)
        if node.operation is not None:
            return self._operation(node, *node.operation)
        if node.kind == "CALL_EXPR":
            return self._invoke(node)
        if node.kind == "INIT_LIST_EXPR" and not node.operands:
            return constant(0)
        if node.operands:
            inner = self._eval(node.operands[-1])
            bounds = bounds_of(node.cursor.type)
            if bounds is None or node.kind == "PAREN_EXPR" or not isinstance(inner, (Value, Cell, Element)):
                return inner
            is_same = not isinstance(inner, Value) and bounds == _place_bounds(inner)
            return inner if is_same else self._convert(self._read(inner), bounds)
        return self._unknown(bounds_of(node.cursor.type) or LONGEST)

    def _reference(self, node: Node) -> Any:
        """What a name stands for."""
        target = node.target
        if target is None:
            return self._unknown(LONGEST)
        return self._variable(target.location.offset, target)

    def _member(self, node: Node) -> Any:
        """A field."""
        base = self._eval(node.operands[0]) if node.operands else None
        if isinstance(base, Record):
            return base.get(node.spelling)
        if isinstance(base, Store) and base.memory is None:
            return base.get(node.spelling)
        if isinstance(base, Element) and base.store.memory is None:
            inner = base.store.get(node.spelling)
            assert isinstance(inner, Store)
            return Element(inner, base.indices)
        return self._unknown(bounds_of(node.cursor.type) or LONGEST)

    def _subscript(self, base: Any, index: Value) -> Any:
        """An element."""
        if isinstance(base, Store):
            return Element(base, (index,))
        if isinstance(base, Element):
            return base.at(index)
        return self._unknown(LONGEST)

    def _conditional(self, node: Node) -> Any:
        """One of two values, both of which are computed."""
        condition = self._value(node.operands[0])
        if condition.low == condition.high:
            return self._eval(node.operands[1 if condition.low else 2])
        results: list[Value] = []

        def side(which: int) -> Callable[[], bool]:
            def read() -> bool:
                results.append(self._value(node.operands[which]))
                return False

            return read

        self._fork(condition, side(1), side(2))
        value = self._select(condition, results[0], results[1])
        return self._convert(value, bounds_of(node.cursor.type))

    def _operation(self, node: Node, symbol: str, operands: list[Node]) -> Any:
        """An operator of built-in or number types."""
        bounds = bounds_of(node.cursor.type)
        if symbol == "[]":
            return self._subscript(self._eval(operands[0]), self._value(operands[1]))
        if symbol == "=":
            return self._assign(operands)
        if symbol in _ASSIGN:
            place = self._eval(operands[0])
            old, other = self._read(place), self._value(operands[1])
            if symbol in ("+=", "-=") and self._accumulates(place, other):
                old = replace(old, is_carried=True)
            result = self._operate(symbol[:-1], old, other, _place_bounds(place))
            self._write(place, result)
            return place
        if symbol in ("++", "--"):
            place = self._eval(operands[0])
            self._write(place, self._operate(symbol[0], self._read(place), constant(1), _place_bounds(place)))
            return place
        if len(operands) == 1:
            return self._unary(symbol, operands[0], bounds)
        if symbol == ",":
            self._eval(operands[0])
            return self._eval(operands[1])
        a, b = self._value(operands[0]), self._value(operands[1])
        return self._operate(symbol, a, b, None if symbol in COMPARISONS else bounds)

    def _accumulates(self, place: Any, term: Value) -> bool:
        """Whether the iterations of an unrolled loop add their terms into one register, which makes a tree."""
        if not isinstance(place, Element) or place.store.memory is None:
            return False
        known = place.store.memory.kind is Kind.REGISTERS and all(index.fixed for index in place.indices)
        chosen = frozenset[int]().union(*(index.loops for index in place.indices))
        return known and bool((term.loops - chosen) & self._unrolled.keys())

    def _unary(self, symbol: str, operand: Node, bounds: Interval | None) -> Any:
        """An operator of one operand."""
        if symbol in ("*", "&"):
            return self._eval(operand)
        value = self._value(operand)
        if symbol == "-":
            return self._operate("-", constant(0), value, bounds)
        if symbol == "!":
            known = (0, 0) if value.low > 0 or value.high < 0 else ((1, 1) if value.low == value.high == 0 else (0, 1))
            if known[0] == known[1]:
                return constant(known[0])
            return self._make(known, hash(("!", value.key)), [value], lambda _: costs.FREE, fixed=value.fixed)
        if symbol == "~":
            flipped = (~value.high, ~value.low)
            return self._make(flipped, hash(("~", value.key)), [value], lambda _: costs.FREE, fixed=value.fixed)
        return value

    def _assign(self, operands: list[Node]) -> Any:
        """An assignment."""
        place, source = self._eval(operands[0]), self._eval(operands[1])
        if isinstance(place, Record):
            self._assign_record(place, source)
        elif isinstance(place, Element) and place.store.memory is None:
            self._store_record(place, source)
        elif not isinstance(source, Record):
            self._write(place, self._read(source))
        return place

    def _assign_record(self, place: Record, source: Any) -> None:
        """A struct from another one or from an array of structs."""
        if isinstance(source, Record):
            self._copy(place, source)
        elif isinstance(source, Element):
            for found in place.type.get_canonical().get_fields():
                inner, target = source.store.get(found.spelling), place.get(found.spelling)
                if isinstance(inner, Store) and isinstance(target, Cell):
                    self._write(target, self._load(Element(inner, source.indices)))
                elif isinstance(inner, Store) and isinstance(target, Store):
                    for rest in _indices(target):
                        self._store(Element(target, rest), self._load(Element(inner, (*source.indices, *rest))))

    def _store_record(self, place: Element, source: Any) -> None:
        """A struct into an array of structs."""
        if isinstance(source, Record):
            for name, inner in source.fields.items():
                target = place.store.get(name)
                if isinstance(inner, Cell) and isinstance(target, Store):
                    self._store(Element(target, place.indices), self._read(inner))
                elif isinstance(inner, Store) and isinstance(target, Store):
                    for rest in _indices(inner):
                        self._store(Element(target, (*place.indices, *rest)), self._load(Element(inner, rest)))

    def _copy(self, to: Record, source: Record) -> None:
        """What is known of a struct."""
        for name, place in source.fields.items():
            target = to.get(name)
            if isinstance(place, Record) and isinstance(target, Record):
                self._copy(target, place)
            elif isinstance(target, Cell):
                self._write(target, self._read(place))
            elif isinstance(target, Store) and isinstance(place, Store) and target.content and place.content:
                self._note(target.content)
                target.content.value = place.content.value

    def _invoke(self, node: Node) -> Any:
        """A call."""
        bounds = bounds_of(node.cursor.type) or self._template_bounds(node)
        name = node.spelling or (_callee_name(node) if node.peel() is node else "")
        if name in _PORTS:
            return self._port(node, name)
        if name in _WORD_PARTS:
            return self._word_part(node, name)
        if bounds is not None and node.target is None and node.children[0].kind == "TEMPLATE_REF":
            return self._convert(self._value(node.operands[-1]), bounds)  # `ap_int<kBits>(value)`
        function = self.unit.callee(node)
        if function is None and node.target is None and node.peel() is node:
            function = self._by_name.get(name)
        if function is None:
            return self._foreign(node, name, bounds)
        arguments = node.operands[len(node.operands) - len(parameters_of(function)) :]
        evaluated = [self._eval(argument) for argument in arguments]
        line = self._line
        result = self._call(function, evaluated, _template_arguments(node, function))
        self._line = line
        return result

    def _template_bounds(self, node: Node) -> Interval | None:
        """Range of an `ap_int` whose bits are a template's parameter."""
        found = _SIZED.match(node.cursor.type.spelling)
        bits = None if found is None else self._frames[-1].templates.get(found[2])
        if found is None or bits is None:
            return None
        return (0, (1 << bits) - 1) if found[1] else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)

    def _port(self, node: Node, name: str) -> Any:
        """A word read from or written to external memory."""
        values = [self._read(self._eval(argument)) for argument in node.operands[2:]]
        if name == "write_word":
            self._make((0, 0), ("write", next(self._fresh)), values, lambda _: Cost(stages=1))
            return None
        return self._make(_WORD, ("read", next(self._fresh)), values, lambda _: Cost(stages=1))

    def _word_part(self, node: Node, name: str) -> Any:
        """A lane of a word: wires where the lane is known, a multiplexer where it is not."""
        bits = _WORD_PARTS[name]
        arguments = node.operands[1:]
        place = self._eval(arguments[0])
        word, lane = self._read(place), self._value(arguments[1])
        bounds = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        if name.startswith("get"):
            cost = costs.FREE if lane.fixed else costs.choose(128 // bits, bits)
            if word.is_constant and word.low == 0:
                return constant(0)
            return self._make(bounds, hash((name, word.key, lane.key)), [word, lane], lambda _: cost)
        value = self._value(arguments[2])
        cost = costs.FREE if lane.fixed else Cost(lut=64, delay=A["delay_mux"])
        key = ("put", next(self._fresh))
        self._write(place, self._make(_WORD, key, [word, lane, value], lambda _: cost, new_bits=bits))
        return None

    def _foreign(self, node: Node, name: str, bounds: Interval | None) -> Any:
        """A constructor, conversion or method of the number types."""
        if node.operands and node.operands[0].kind == "MEMBER_REF_EXPR" and node.operands[0].operands:
            inner = self._eval(node.operands[0].operands[0])
            if name.startswith(("operator", "to_")):
                return self._convert(self._read(inner), bounds)
            return self._unknown(bounds or LONGEST)
        target = node.target.kind.name if node.target is not None else ""
        if target == "CONSTRUCTOR" or node.peel() is not node:
            if not node.operands:
                return self._unknown(bounds) if bounds is not None else None
            inner = self._eval(node.operands[-1])
            return inner if bounds is None or isinstance(inner, Record) else self._convert(self._read(inner), bounds)
        return self._unknown(bounds or LONGEST)


def _indices(store: Store) -> list[tuple[Value, ...]]:
    """All indices of an array."""
    return [tuple(map(constant, place)) for place in itertools.product(*map(range, store.dims))]


def _place_bounds(place: Any) -> Interval | None:
    if isinstance(place, Cell):
        return place.bounds
    if isinstance(place, Element):
        return bounds_of(place.store.element)
    return None


def _callee_name(node: Node) -> str:
    for child in node.walk():
        if child.kind in ("DECL_REF_EXPR", "OVERLOADED_DECL_REF") and child.spelling:
            return child.spelling
        if child.kind == "OVERLOADED_DECL_REF":
            return child.spelling
    return ""


def _template_arguments(node: Node, function: Function) -> dict[str, int]:
    names = [child.spelling for child in function.node.children if child.kind == "TEMPLATE_NON_TYPE_PARAMETER"]
    if not names or node.target is None or node.target.get_num_template_arguments() < 0:
        return {}
    return {name: node.target.get_template_argument_value(i) for i, name in enumerate(names)}


def parameters_of(function: Function) -> list[Node]:
    """Parameters of a function."""
    return [child for child in function.node.children if child.kind == "PARM_DECL"]
