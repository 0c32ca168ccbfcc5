"""Reads the rendered kernels as hardware: which operators, of which widths, work in which cycle, on which memories.

An abstract interpreter over the syntax tree. Numbers are intervals, so a product of two sign-extended int16 is 16x16
whatever type it is written in; equal computations are made once; an unrolled loop's body is read once and counted as
often as what it computes differs between iterations; the sides of a branch share multipliers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import zip_longest
from typing import Any

from hls.area.cost import choose
from hls.area.expressions import parameters_of
from hls.area.memories import Frame
from hls.area.module import Module
from hls.area.place import Cell, Element, Memory, Record, Store, bounds_of, is_dependent, is_scalar
from hls.area.statements import Statements
from hls.area.value import Value, hull
from hls.lint import clang
from hls.lint.node import Node
from hls.lint.unit import Function, Scope, Unit

_CHOICES = 16
"""A type of at most so many values is a choice, not a number."""


class Reader(Statements):
    """Reads a unit from its top function; `top` is the module tree afterwards.

    `scales`: by what the LUTs of operators in a function are multiplied, by its name (`leaves.py`).
    """

    def __init__(self, unit: Unit, top: str, clock_mhz: int, scales: Mapping[str, float] | None = None) -> None:
        super().__init__(unit, top, clock_mhz)
        self._scales = scales or {}
        self._pragmas: dict[str, list[Any]] = {}
        function = self._by_name[top]
        frame = self._frame(function, {})
        self._bind(frame, [])
        self._enter(function, frame)
        self._close(self._section)

    def _call(self, function: Function, arguments: list[Any], templates: dict[str, int]) -> Any:
        """What a call returns; outside of pipelines a function with loops is an instance of its own."""
        frame = self._frame(function, templates)
        self._bind(frame, arguments)
        outer, self._scale = self._scale, self._scales.get(function.name, self._scale)
        result = self._instance(function, frame) if self._is_module(function) else self._enter(function, frame)
        self._scale = outer
        return result

    def _frame(self, function: Function, templates: dict[str, int]) -> Frame:
        if function.key not in self._pragmas:
            scopes = [scope for scope in self.unit.scopes if _inside(scope, function)]
            self._pragmas[function.key] = [pragma for scope in scopes for pragma in scope.pragmas]
        return Frame(function, templates=dict(templates), pragmas=self._pragmas[function.key])

    def _instance(self, function: Function, frame: Frame) -> Any:
        """Calls from one function share an instance, tasks of a dataflow region have one each."""
        if self._is_shared(function):
            for place in frame.variables.values():
                self._generalise(place)
        key: Any = (function.key, *frame.templates.items(), next(self._fresh) if self._is_region else None)
        name = function.name + (f"<{', '.join(map(str, frame.templates.values()))}>" if frame.templates else "")
        module = Module(name)
        if not self._dry:
            self._module.children.setdefault(key, module)
        with self._module_of(module):
            return self._enter(function, frame)

    def _is_shared(self, function: Function) -> bool:
        """Whether a pragma around says that all its calls share an instance."""
        pragmas = (pragma for frame in self._frames for pragma in frame.pragmas if pragma.directive == "allocation")
        return any(pragma.options.get("instances") == function.name for pragma in pragmas)

    def _generalise(self, place: Any) -> None:
        """What one call hands over as a constant choice (a flag, an enumeration), another one may not."""
        if isinstance(place, Record):
            for inner in place.fields.values():
                self._generalise(inner)
        elif isinstance(place, Cell) and _is_choice(place) and place.value is not None and place.value.is_constant:
            place.value = self._unknown(place.bounds)

    def _enter(self, function: Function, frame: Frame) -> Any:
        """Read a function's body."""
        for pragma in function.scope.pragmas:
            if pragma.directive == "allocation" and pragma.options.get("instances") == "mul":
                self._module.limit = self._number(pragma.options["limit"])
        outer, self._is_region = self._is_region, function.scope.find("dataflow") is not None
        self._frames.append(frame)
        self._run(function.scope.body.children)
        self._frames.pop()
        self._is_region = outer
        return self._result(function, frame)

    def _result(self, function: Function, frame: Frame) -> Any:
        """One of what the function's return statements give."""
        if not frame.returned or isinstance(frame.returned[0], Record):
            return frame.returned[-1] if frame.returned else None
        bounds = bounds_of(function.node.cursor.result_type)
        values = [self._convert(value, bounds) for value in frame.returned if isinstance(value, Value)]
        result = values[-1]
        for value in values[:-1]:
            low, high = hull([(value.low, value.high), (result.low, result.high)])
            key, fixed = hash(("return", value.key, result.key)), value.fixed and result.fixed
            if value.key != result.key:
                sides = [value, result]
                result = self._make((low, high), key, sides, partial(choose, 2), lambda bits: [bits, bits], fixed=fixed)
        return result

    def _is_module(self, function: Function) -> bool:
        """Whether the tool keeps a function apart: it has loops, or a pragma says so."""
        if self._section.is_pipelined:
            return False
        pragma = function.scope.find("inline")
        if pragma is not None and not pragma.is_off:
            return False
        return pragma is not None or any(loop.find("unroll") is None for loop in function.loops)

    def _bind(self, frame: Frame, arguments: list[Any]) -> None:
        for parameter, argument in zip_longest(parameters_of(frame.function), arguments):
            frame.variables[parameter.cursor.location.offset] = self._bound(parameter, argument, frame)

    def _bound(self, parameter: Node, argument: Any, frame: Frame) -> Any:
        """What a parameter stands for: the argument, or a copy of it; a variable of its type in the top function."""
        cursor = parameter.cursor
        kind = cursor.type.get_canonical()
        is_reference = clang.type_kind(kind).endswith("REFERENCE")
        if argument is None:
            return self._declare(cursor.spelling, kind.get_pointee() if is_reference else kind, (), frame, False, 1)
        if isinstance(argument, (Store, Element)) and not is_scalar(argument):
            self._deduce(parameter, argument, frame)
            return argument
        if isinstance(argument, Memory) or (is_reference and isinstance(argument, (Cell, Element, Record))):
            return argument
        if isinstance(argument, Record) and is_dependent(kind):
            kind = argument.type
        if isinstance(argument, (Value, Cell, Element)) and is_dependent(kind):
            value = self._read(argument)
            return Cell(cursor.spelling, (value.low, value.high), value)
        copy = self._declare(cursor.spelling, kind.get_pointee() if is_reference else kind, (), frame, True, 1)
        if isinstance(copy, Record):
            self._assign_record(copy, argument)
        elif isinstance(copy, Cell):
            copy.value = self._convert(self._read(argument), copy.bounds)
        return copy

    def _deduce(self, parameter: Node, argument: Store | Element, frame: Frame) -> None:
        """Template parameters that are dimensions of an array parameter."""
        store = argument if isinstance(argument, Store) else argument.store
        given = 0 if isinstance(argument, Store) else len(argument.indices)
        names = [child for child in parameter.operands if child.kind == "DECL_REF_EXPR"]
        for child, size in zip(reversed(parameter.operands), store.dims[given:], strict=False):
            if child in names and child.target is not None and child.target.kind.name == "TEMPLATE_NON_TYPE_PARAMETER":
                frame.templates.setdefault(child.spelling, size)


def _is_choice(place: Cell) -> bool:
    return place.bounds[1] - place.bounds[0] < _CHOICES


def _inside(scope: Scope, function: Function) -> bool:
    return function.scope.body.offset <= scope.body.offset and scope.body.end_line <= function.scope.body.end_line
