"""Operators as they are met: made once where they are equal, timed, and counted with their copies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from hls.area import cost as costs
from hls.area.assumptions import A
from hls.area.cost import Cost
from hls.area.module import Branch, Made, Module, Multiplier, Section
from hls.area.place import Cell, births
from hls.area.value import Interval, Value, clip, constant, hull, interval, width

COMPARISONS = {"<", ">", "<=", ">=", "==", "!=", "&&", "||"}
ACCUMULATOR_BITS = 48
PRE_ADDER_BITS, NARROW_FACTOR_BITS = 27, 18
"""Of a DSP48E2: what its pre-adder gives and the other factor (UG579)."""
_COMMUTATIVE = {"+", "*", "&", "|", "^", "==", "!=", "&&", "||"}
LONGEST = (-(1 << 63), (1 << 63) - 1)


class Datapath:
    """The section being read, with its values and its branches."""

    def __init__(self, top: str, clock_mhz: int) -> None:
        self.period = 1000 / clock_mhz * (1 - A["clock_uncertainty"])
        self.top = Module(top)
        self._module = self.top
        self._line = 0
        self._dry = 0  # above 0, what is read is not counted
        self._scale = 1.0  # of the LUTs of operators, in the function being read
        self._fresh = itertools.count()
        self._unrolled: dict[int, int] = {}  # iterations of the unrolled loops around
        self._journals: list[dict[Cell, Value | None]] = []  # cells changed in a fork or loop, with their old values
        self._known: list[dict[Any, Value]] = [{}]  # values by key, in the section and in the forks around
        self._section = self._new_section("", 0, False)
        self._branch = self._section.operators

    def _new_section(self, name: str, line: int, is_pipelined: bool, initiation: int = 1) -> Section:
        """A section of the present module."""
        section = Section(name, line, is_pipelined, initiation)
        self._module.sections.append(section)
        return section

    @contextmanager
    def _within(self, section: Section) -> Iterator[None]:
        """Count into a section."""
        before = self._section, self._branch, self._known
        self._section, self._branch, self._known = section, section.operators, [{}]
        yield
        self._close(section)
        self._section, self._branch, self._known = before

    def _close(self, section: Section) -> None:
        """Hand what the section accesses in a cycle on to the arrays."""
        section.settle()
        for array, (reads, writes, together) in section.operators.accesses_by_array().items():
            array.reads = max(array.reads, reads / section.interval if section.is_pipelined else 1)
            array.writes = max(array.writes, writes / section.interval if section.is_pipelined else 1)
            if section.is_pipelined:
                array.together = max(array.together, together / section.interval)

    @contextmanager
    def _module_of(self, module: Module) -> Iterator[None]:
        """Count into a module."""
        before = self._module
        self._module = module
        with self._within(self._new_section("", 0, False)):
            yield
        self._module = before

    def _copies(self, loops: frozenset[int]) -> float:
        """How often something that these loops decide exists."""
        return math.prod(self._unrolled.get(loop, 1) for loop in loops)

    def _make(
        self,
        bounds: Interval,
        key: Any,
        inputs: list[Value],
        cost: Callable[[int], Cost],
        requests: Callable[[int], list[int]] | None = None,
        **attributes: Any,
    ) -> Value:
        """The result of an operator, counted if no equal one was made before.

        `cost` by the bits of the result that are needed, `requests` those of the inputs (None: all).
        """
        for known in self._known:
            if (found := known.get(key)) is not None:
                return found
        loops = frozenset[int]().union(*(v.loops for v in inputs)) & self._unrolled.keys()
        value = Value(*bounds, key, frozenset(loops), **attributes)
        self._known[-1][key] = value
        if value.fixed:
            return value
        self._time(value, inputs, cost(value.width))
        if not self._dry:
            wanted = requests or (lambda bits: [one.width for one in inputs])
            self._section.made.append(Made(value, self._copies(value.loops), inputs, cost, wanted, self._scale))
        return value

    def _time(self, value: Value, inputs: list[Value], cost: Cost) -> None:
        """As soon as the inputs are there, in the clock cycle where it fits."""
        value.section = self._section
        start = max((v.ready for v in inputs if v.section is self._section), default=0.0)
        if cost.stages or (start % self.period) + cost.delay > self.period:
            start = math.ceil(start / self.period) * self.period
        value.ready = value.last = start + cost.stages * self.period + cost.delay
        for one in inputs:
            if one.section is self._section:
                one.root.last = max(one.root.last, start)
            else:
                one.root.crosses = True
        self._section.end = max(self._section.end, value.ready)

    def _unknown(self, bounds: Interval) -> Value:
        """Any number of a range."""
        return Value(*bounds, ("fresh", next(self._fresh)))

    def _convert(self, value: Value, bounds: Interval | None) -> Value:
        """To a type: the low bits where it does not fit."""
        if bounds is None or (bounds[0] <= value.low and value.high <= bounds[1]):
            return value
        if value.is_constant:
            size = width(*bounds)
            number = value.low & ((1 << size) - 1)
            return constant(number - (1 << size) if bounds[0] < 0 and number > bounds[1] else number)
        return replace(value, low=bounds[0], high=bounds[1], key=hash(("convert", bounds, value.key)), source=value)

    def _operate(self, symbol: str, a: Value, b: Value, bounds: Interval | None) -> Value:
        """`a symbol b` in a type of these bounds."""
        if (same := _unchanged(symbol, a, b)) is not None:
            return self._convert(same, bounds)
        exact = interval(symbol, (a.low, a.high), (b.low, b.high))
        result = bounds if exact is None else clip(exact, bounds)
        if result is None:
            result = LONGEST
        fixed = (a.fixed and b.fixed) or (symbol in COMPARISONS and result[0] == result[1])
        if fixed and result[0] == result[1]:
            return constant(result[0])
        keys = sorted((hash(a.key), hash(b.key))) if symbol in _COMMUTATIVE else (a.key, b.key)
        key, low_bits = hash((symbol, *keys, result)), _low_bits(symbol, a, b)
        if fixed:
            return Value(*result, key, a.loops | b.loops, True)
        if symbol == "*":
            return self._multiply(a, b, result, key, low_bits)
        if symbol in ("/", "%"):
            divide = costs.divide(a, b, self._section.is_pipelined)
            return self._make(result, key, [a, b], lambda _: divide)
        asked = partial(_requests, symbol, a, b)
        if symbol in ("+", "-") and (a.product or b.product) and max(a.width, b.width) <= ACCUMULATOR_BITS:
            is_tree = a.is_carried or b.is_carried
            added = costs.tree_addition(a if a.product else b) if is_tree else Cost(stages=1)
            return self._make(result, key, [a, b], lambda _: added, asked, accumulated=not is_tree)
        before = len(self._section.made)
        value = self._make(result, key, [a, b], partial(costs.operator, symbol, a, b), asked, low_bits=low_bits)
        if symbol == "+" and len(self._section.made) > before:
            self._add(self._section.made[-1], a, b)
        return value

    def _add(self, made: Made, a: Value, b: Value) -> None:
        """An addition takes in one whose sum only it uses in the same cycle: three numbers in one carry chain."""
        if made.scale != 1.0:
            return
        for one in (a, b):
            inner = one.root.addition
            if isinstance(inner, Made) and inner.copies == made.copies and self._cycle(inner) == self._cycle(made):
                inner.is_taken = True
                return
        made.value.addition = made

    def _cycle(self, made: Made) -> int:
        return int(made.value.ready // self.period)

    def _multiply(self, a: Value, b: Value, result: Interval, key: int, low_bits: int) -> Value:
        """A product."""
        cost = partial(costs.multiply, a, b)
        dsp = cost(width(*result)).dsp
        before = len(self._section.made)
        asked = partial(_requests, "*", a, b)
        value = self._make(result, key, [a, b], cost, asked, product=dsp == 1, low_bits=low_bits)
        if dsp and len(self._section.made) > before:
            made = self._section.made[-1]
            made.multiplier = Multiplier(self._line, a.signed_width, b.signed_width, dsp, made.copies)
            self._branch.multipliers.append(made.multiplier)
            if dsp == 1 and made.scale == 1.0:
                _pre_add(a, b)
        return value

    def _select(self, condition: Value, a: Value, b: Value) -> Value:
        """One of two values."""
        if a.key == b.key:
            return a
        bounds = hull([(a.low, a.high), (b.low, b.high)])
        key = hash(("select", condition.key, a.key, b.key))
        if condition.fixed and a.fixed and b.fixed:
            return Value(*bounds, key, condition.loops | a.loops | b.loops, True)
        return self._make(
            bounds,
            key,
            [condition, a, b],
            partial(_select_cost, condition, a, b),
            lambda bits: [1, bits, bits],
            product=a.product or b.product,
            is_state=all(one.is_state or one.fixed for one in (a, b)),
            in_accumulator=a.in_accumulator or b.in_accumulator,
        )

    def _note(self, cell: Cell) -> None:
        """Let a fork or an unrolled loop know that the cell changes."""
        for journal in self._journals[-1:]:
            journal.setdefault(cell, cell.value)

    def _fork(self, condition: Value, first: Callable[[], bool], second: Callable[[], bool]) -> bool:
        """Read both sides of a branch, or the one that is taken; whether both return."""
        if condition.low == condition.high:
            return first() if condition.low else second()
        sides = (Branch(), Branch())
        outer = self._branch
        if not self._dry:
            outer.forks.append(sides)
        changes, ends = [], []
        start = next(births)
        for branch, side in zip(sides, (first, second), strict=True):
            self._branch = branch
            self._journals.append({})
            self._known.append({})
            ends.append(side())
            self._known.pop()
            before = self._journals.pop()
            changes.append({cell: cell.value for cell in before})
            for cell, old in before.items():
                cell.value = old
        self._branch = outer
        for cell in {**changes[0], **changes[1]}:
            if cell.born < start:  # what a side declares ends with it
                self._merge(cell, condition, changes[0].get(cell, cell.value), changes[1].get(cell, cell.value), ends)
        return all(ends)

    def _merge(self, cell: Cell, condition: Value, a: Value | None, b: Value | None, ends: list[bool]) -> None:
        """What a cell holds behind a fork."""
        self._note(cell)
        if ends[0] != ends[1]:
            cell.value = b if ends[0] else a
        elif a is None or b is None:
            cell.value = a or b
        else:
            cell.value = self._select(condition, a, b)


def _pre_add(a: Value, b: Value) -> None:
    """A slice takes in an addition of two numbers before its wide factor, if only it uses the sum."""
    for one, other in ((a, b), (b, a)):
        inner = one.root.addition
        if isinstance(inner, Made) and one.signed_width <= PRE_ADDER_BITS and other.signed_width <= NARROW_FACTOR_BITS:
            inner.is_taken = True
            return


def _select_cost(condition: Value, a: Value, b: Value, bits: int) -> Cost:
    if condition.fixed:
        return costs.FREE
    if a.is_zero or b.is_zero:  # an AND with the condition; an accumulator's restart is free
        other = b if a.is_zero else a
        return costs.FREE if other.product or other.in_accumulator else Cost(lut=bits / 4, delay=A["delay_logic"])
    return Cost(lut=bits / (4 if a.fixed or b.fixed else 2), delay=A["delay_mux"])


def _requests(symbol: str, a: Value, b: Value, bits: int) -> list[int]:
    """Low bits of the operands that so many low bits of a result need."""
    if symbol == "&":
        masks = [one.width if one.is_constant and one.low >= 0 else bits for one in (b, a)]
        return [min(bits, mask) for mask in masks]
    if symbol in ("+", "-", "*", "|", "^"):
        return [bits, bits]
    if symbol == "<<":
        return [bits - b.low if b.is_constant else bits, b.width]
    if symbol == ">>":
        return [bits + b.high, b.width]
    return [a.width, b.width]


def _unchanged(symbol: str, a: Value, b: Value) -> Value | None:
    """The operand that the result is equal to."""
    if symbol == "&&":
        return a if b.is_true else (b if a.is_true else None)
    if symbol == "||":
        return a if b.is_zero else (b if a.is_zero else None)
    if b.is_zero and symbol in ("+", "-", "|", "^", "<<", ">>"):
        return a
    return b if a.is_zero and symbol in ("+", "|", "^") else None


def _low_bits(symbol: str, a: Value, b: Value) -> int:
    """How many of the lowest bits of a result synthesis knows in each copy of an unrolled loop."""
    if symbol in ("+", "-", "|", "^"):
        return min(a.known_bits, b.known_bits)
    if symbol == "*" and (a.is_constant or b.is_constant):
        number, other = (a.low, b) if a.is_constant else (b.low, a)
        return other.known_bits + (number & -number).bit_length() - 1 if number else 0
    if symbol == "<<" and b.is_constant:
        return a.known_bits + b.low
    return 0
