"""Variables and arrays: what they hold, how their banks are accessed, and how pragmas cut them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hls.area import cost as costs
from hls.area.assumptions import A
from hls.area.cost import Cost
from hls.area.datapath import LONGEST, Datapath
from hls.area.memory import Array, Kind, Partition
from hls.area.module import Access, Bank, Module
from hls.area.place import Cell, Element, Memory, Place, Record, Store, array_shape, births, bounds_of
from hls.area.value import Interval, Value, clip, constant, hull, width
from hls.lint import clang
from hls.lint.node import Node
from hls.lint.unit import Function, Unit


@dataclass(eq=False)
class Frame:
    """A function being read."""

    function: Function
    variables: dict[int, Place | Value] = field(default_factory=dict)
    templates: dict[str, int] = field(default_factory=dict)
    returned: list[Value | Record] = field(default_factory=list)
    pragmas: list[Any] = field(default_factory=list)


class Memories(Datapath):
    """Places by name, in the function being read and outside of functions."""

    def __init__(self, unit: Unit, top: str, clock_mhz: int) -> None:
        super().__init__(top, clock_mhz)
        self.unit = unit
        self._frames: list[Frame] = []
        self._globals: dict[int, Place | Value] = {}
        self._roms: dict[tuple[int, int], Store] = {}

    def _read(self, place: Any) -> Value:
        """The number a place holds."""
        if isinstance(place, Value):
            return place
        if isinstance(place, Cell):
            if place.value is None:
                place.value = self._unknown(place.bounds)
            return place.value
        if isinstance(place, Element):
            return self._load(place)
        return self._unknown(LONGEST)

    def _write(self, place: Any, value: Value) -> None:
        """Put a number into a place."""
        if isinstance(place, Cell):
            self._note(place)
            place.value = self._convert(value, place.bounds)
            if not self._dry:
                value.ask(width(*place.bounds))
        elif isinstance(place, Element):
            self._store(place, value)

    def _bounds(self, store: Store) -> Interval:
        """Range of an array's elements."""
        return bounds_of(store.element) or (0, (1 << 128) - 1)

    def _load(self, element: Element) -> Value:
        """An element of an array."""
        store, indices = element.store, element.indices
        if store.memory is None:
            return self._unknown(LONGEST)
        key = hash(("load", id(store), store.version, tuple(index.key for index in indices)))
        known = store.content.value if store.content is not None else None
        bounds = (known.low, known.high) if known is not None else self._bounds(store)
        is_new = all(key not in memo for memo in self._known)
        lut, ways = self._address(element)
        inputs = [*indices, *([known] if known is not None else [])]
        is_state = store.memory.kind is Kind.REGISTERS

        def cost(bits: int) -> Cost:
            chosen = costs.choose(ways, bits)
            if is_state:
                return Cost(lut=chosen.lut + lut, delay=chosen.delay)
            delay = A["delay_memory"] + chosen.delay
            return Cost(lut=chosen.lut + lut, delay=delay, stages=int(A["memory_stages"]))

        held = is_state and store.memory.in_accumulators
        value = self._make(bounds, key, inputs, cost, is_state=is_state, in_accumulator=held)
        if is_new:
            self._access(element, False)
        return value

    def _store(self, element: Element, value: Value) -> None:
        """Write an element of an array."""
        store = element.store
        if store.memory is None:
            return
        loops = value.loops.union(*(index.loops for index in element.indices))
        if not self._dry:
            self._section.add(Cost(lut=self._address(element)[0]), self._copies(loops & self._unrolled.keys()))
        if not self._dry:
            value.ask(store.memory.bits)
        for index in element.indices:
            if index.section is value.section is self._section:
                index.root.last = max(index.root.last, value.ready)
        self._access(element, True)
        store.version += 1
        if store.memory.kind is Kind.REGISTERS and value.accumulated:
            store.memory.in_accumulators = True
        if store.content is not None:
            self._note(store.content)
            store.content.value = self._joined(store, value, loops)

    def _joined(self, store: Store, value: Value, loops: frozenset[int]) -> Value:
        """What the elements of an array may hold after a write."""
        assert store.content is not None
        old = store.content.value
        bounds, fixed = (value.low, value.high), value.fixed
        if old is not None:
            bounds, loops, fixed = hull([bounds, (old.low, old.high)]), loops | old.loops, fixed and old.fixed
        key = ("content", id(store), store.version)
        low, high = clip(bounds, store.content.bounds)
        return Value(low, high, key, loops, fixed, value.ready, value.ready, section=value.section)

    def _address(self, element: Element) -> tuple[float, int]:
        """(LUTs of the address, banks to choose from) of an access."""
        memory = element.store.memory
        assert memory is not None
        lut, ways, moving = 0.0, 1, 0
        for dim, index in enumerate(element.indices[: len(memory.dims)]):
            cut = memory.cut(dim)
            if index.fixed:
                continue
            ways *= _reachable(cut, index)
            if cut.depth > 1:
                moving += 1
                rest = math.prod(memory.cut(d).depth for d in range(dim + 1, len(memory.dims)))
                if moving > 1 or rest & (rest - 1):
                    lut += index.width + math.ceil(math.log2(max(rest, 2)))
        return lut, ways

    def _access(self, element: Element, is_write: bool) -> None:
        """Note how often one bank is accessed in a cycle.

        Copies of an unrolled body meet in a bank unless it is known which they take; reads of one address are one.
        """
        memory = element.store.memory
        if memory is None or self._dry:
            return
        (memory.writers if is_write else memory.readers).add(self._module.name)
        spread, deciding, moving = 1.0, frozenset[int](), frozenset[int]()
        for dim, index in enumerate(element.indices[: len(memory.dims)]):
            cut, copies = memory.cut(dim), self._copies(index.loops & self._unrolled.keys())
            spread *= copies if dim in memory.reshaped else min(copies, max(1, cut.banks // _reachable(cut, index)))
            if cut.depth > 1:
                moving |= index.loops
            if cut.depth > 1 or cut.banks > 1:
                deciding |= index.loops
        if is_write:
            times = self._copies(deciding & self._unrolled.keys()) / spread
            key = hash((id(element.store), *(index.key for index in element.indices)))
        else:
            only_bank = self._copies((deciding - moving) & self._unrolled.keys())
            times = self._copies(moving & self._unrolled.keys()) / max(1.0, spread / only_bank)
            moved = (i.key for d, i in enumerate(element.indices[: len(memory.dims)]) if memory.cut(d).depth > 1)
            key = hash((id(element.store), *moved))
        self._branch.accesses.append(Access(memory, is_write, key, max(1.0, times), _bank(memory, element.indices)))

    def _declare(self, name: str, kind: Any, dims: tuple[int, ...], frame: Frame, tracked: bool, copies: int) -> Place:
        """A variable; `tracked` if the contents of arrays are followed."""
        return self._declare_in(None if self._dry else self._module, name, kind, dims, frame, tracked, copies)

    def _declare_in(
        self,
        module: Module | None,
        name: str,
        kind: Any,
        dims: tuple[int, ...],
        frame: Frame,
        tracked: bool,
        copies: int,
        born: int | None = None,
    ) -> Place:
        """A variable of a module (None: not counted); a struct's fields are its too, wherever they are first named."""
        shape, element = array_shape(kind)
        dims = dims + shape
        since = next(births) if born is None else born

        def make(inner: str, inner_kind: Any, inner_dims: tuple[int, ...]) -> Place:
            return self._declare_in(module, inner, inner_kind, inner_dims, frame, tracked, copies, since)

        bounds = bounds_of(element)
        if not dims:
            if bounds is not None:
                return Cell(name, bounds, born=since)
            if "POINTER" in clang.type_kind(element.get_canonical()):
                return Memory(name)
            return Record(name, element, make)
        store = Store(name, dims, element, make)
        if bounds is not None:
            store.memory = self._memory(module, name, width(*bounds), dims, frame, copies)
            if tracked:
                store.content = Cell(name, bounds, born=since)
        return store

    def _memory(
        self, module: Module | None, name: str, bits: int, dims: tuple[int, ...], frame: Frame, copies: int
    ) -> Array:
        """An array with what the pragmas of its function say."""
        array = Array(name, bits, dims, copies=copies)
        for pragma in frame.pragmas:
            if f"{name}.".split(f"{pragma.options.get('variable')}.")[0]:
                continue  # of another variable; a struct's pragma is that of its fields too
            words = {**dict.fromkeys(pragma.words, ""), **pragma.options}
            if pragma.directive in ("array_partition", "array_reshape"):
                kind = words.get("type") or next((w for w in ("complete", "cyclic", "block") if w in words), "complete")
                where = int(words.get("dim", 1))
                chosen = range(len(dims)) if where == 0 else [where - 1]
                for dim in chosen:
                    array.partitions[dim] = (kind, self._number(words.get("factor", "1")))
                if pragma.directive == "array_reshape":
                    array.reshaped |= frozenset(chosen)
            elif pragma.directive == "bind_storage":
                array.binding, array.implementation = words.get("type", ""), words.get("impl", "")
            elif pragma.directive == "stream" and words.get("type") == "fifo":
                array.copies, array.fifo_depth = 1, self._number(words.get("depth", "2"))
            elif pragma.directive == "stream" and copies > 1:
                array.copies = max(2, self._number(words.get("depth", "2")))
        if not array.partitions and math.prod(dims) <= A["small_array"]:
            array.partitions = dict.fromkeys(range(len(dims)), ("complete", 1))
        if module is not None:
            module.arrays.append(array)
        return array

    def _number(self, text: str) -> int:
        """A number or the name of a constant, in a pragma."""
        if text.isdigit():
            return int(text)
        for offset, node in self.unit.declarations.items():
            if node.spelling == text:
                return self._read(self._variable(offset, node.cursor)).low
        raise KeyError(text)

    def _variable(self, offset: int, cursor: Any) -> Place | Value:
        """What a name stands for."""
        frame = self._frames[-1]
        if offset in frame.variables:
            return frame.variables[offset]
        if cursor.spelling in frame.templates:
            return constant(frame.templates[cursor.spelling])
        if offset in self._globals:
            found = self._globals[offset]
            return self._rom(offset, found) if isinstance(found, Store) else found
        if cursor.kind.name == "ENUM_CONSTANT_DECL":
            return constant(cursor.enum_value)
        found = self._global(offset, cursor)
        self._globals[offset] = found
        return self._rom(offset, found) if isinstance(found, Store) else found

    def _global(self, offset: int, cursor: Any) -> Place | Value:
        """A constant or table outside of functions."""
        node = self.unit.declarations.get(offset)
        if node is None or node.kind != "VAR_DECL":
            return self._unknown(bounds_of(cursor.type) or LONGEST)
        dims, element = array_shape(node.cursor.type)
        if dims:
            numbers = [clang.evaluate(leaf.cursor) or 0 for leaf in _leaves(node.initializer)]
            low, high = (min(numbers), max(numbers)) if numbers else (0, 0)
            store = Store(node.spelling, dims, element, lambda *_: Cell("", (0, 0)))
            store.content = Cell(node.spelling, (low, high), Value(low, high, ("rom", offset)))
            return store
        number = clang.evaluate(node.initializer.cursor) if node.initializer is not None else None
        if number is not None:
            return constant(number)
        return self._value(node.initializer) if node.initializer is not None else self._unknown(LONGEST)

    def _rom(self, offset: int, table: Store) -> Store:
        """A section's own copy of a table."""
        key = (id(self._section), offset)
        if key not in self._roms:
            assert table.content is not None
            assert table.content.value is not None
            copy = Store(table.name, table.dims, table.element, table.make, content=table.content)
            bits = table.content.value.width
            copy.memory = Array(table.name, bits, table.dims, is_rom=True)
            self._roms[key] = copy
        copy = self._roms[key]
        if not self._dry and copy.memory is not None and copy.memory not in self._module.arrays:
            self._module.arrays.append(copy.memory)
        return copy


def _bank(memory: Array, indices: tuple[Value, ...]) -> Bank:
    """Which memory an access goes to, as far as synthesis knows it: a constant index names one of a cut dimension."""
    return tuple(
        index.low if index.is_constant and memory.cut(dim).type == "complete" and dim not in memory.reshaped else None
        for dim, index in enumerate(indices[: len(memory.dims)])
    )


def _reachable(cut: Partition, index: Value) -> int:
    """Banks of a dimension that an index may name."""
    if index.fixed or cut.banks == 1:
        return 1
    known = 1 << min(index.known_bits, 30)
    return max(1, cut.banks // math.gcd(cut.banks, known)) if cut.type != "block" else cut.banks


def _leaves(node: Node | None) -> Iterator[Node]:
    if node is None:
        return
    if node.kind == "INIT_LIST_EXPR":
        for child in node.operands:
            yield from _leaves(child)
    else:
        yield node
