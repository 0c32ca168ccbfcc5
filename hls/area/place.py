"""What names stand for while the kernels are read: scalars, structs, and elements of arrays."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hls.area.memory import Array
from hls.area.value import Interval, Value
from hls.lint.clang import type_kind

_AP = re.compile(r"ap_(u?)int(?:_base)?<(\d+)(?:, (true|false))?")
_INTEGERS = {
    "BOOL": (False, 1), "CHAR_U": (False, 8), "UCHAR": (False, 8), "CHAR_S": (True, 8), "SCHAR": (True, 8),
    "USHORT": (False, 16), "SHORT": (True, 16), "UINT": (False, 32), "INT": (True, 32), "ULONG": (False, 64),
    "LONG": (True, 64), "ULONGLONG": (False, 64), "LONGLONG": (True, 64),
}  # fmt: skip


def bounds_of(kind: Any) -> Interval | None:
    """Range of a scalar type (native, enumeration or ap_int); None for anything else."""
    canonical = kind.get_canonical()
    name = type_kind(canonical)
    if name in ("LVALUEREFERENCE", "RVALUEREFERENCE"):
        return bounds_of(canonical.get_pointee())
    if name in _INTEGERS:
        signed, bits = _INTEGERS[name]
    elif name == "ENUM":
        return 0, max(1, sum(1 for _ in canonical.get_declaration().get_children()) - 1)
    elif name == "RECORD" and (found := _AP.match(canonical.spelling.removeprefix("const "))):
        signed, bits = found[3] == "true" if found[3] else not found[1], int(found[2])
    else:
        return None
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


births = itertools.count()
"""Numbers declarations in their order."""


@dataclass(eq=False)
class Cell:
    """A scalar variable; `value` is None while only its type is known, `born` tells which was declared first."""

    name: str
    bounds: Interval
    value: Value | None = None
    born: int = field(default_factory=lambda: next(births))


@dataclass(eq=False)
class Record:
    """A struct variable; fields are made when they are first named."""

    name: str
    type: Any
    make: Callable[[str, Any, tuple[int, ...]], Place]
    fields: dict[str, Place] = field(default_factory=dict)

    def get(self, name: str) -> Place:
        """A field."""
        if name not in self.fields:
            self.fields[name] = self.make(f"{self.name}.{name}", field_type(self.type, name), ())
        return self.fields[name]


@dataclass(eq=False)
class Store:
    """An array of scalars (`memory`) or of structs (an array for each field)."""

    name: str
    dims: tuple[int, ...]
    element: Any
    make: Callable[[str, Any, tuple[int, ...]], Place]
    memory: Array | None = None
    content: Cell | None = None
    """What its elements hold, where they are known better than by their type."""
    version: int = 0
    fields: dict[str, Place] = field(default_factory=dict)

    def get(self, name: str) -> Place:
        """The array of a field of all elements."""
        if name not in self.fields:
            self.fields[name] = self.make(f"{self.name}.{name}", field_type(self.element, name), self.dims)
        return self.fields[name]


@dataclass(eq=False)
class Element:
    """An array with some of its indices given."""

    store: Store
    indices: tuple[Value, ...]

    def at(self, index: Value) -> Element:
        """With one more index."""
        return Element(self.store, (*self.indices, index))


@dataclass(eq=False)
class Memory:
    """A pointer to external memory; words go over a port."""

    name: str


Place = Cell | Record | Store | Element | Memory


def is_dependent(kind: Any) -> bool:
    """Whether a template parameter is the type."""
    return type_kind(kind) in ("UNEXPOSED", "DEPENDENT") or "type-parameter" in kind.spelling


def is_scalar(place: Store | Element) -> bool:
    """Whether an element of an array is one number."""
    if isinstance(place, Store) or place.store.memory is None:
        return False
    return len(place.indices) == len(place.store.dims)


def field_type(kind: Any, name: str) -> Any:
    """Type of a struct's field."""
    for found in kind.get_canonical().get_fields():
        if found.spelling == name:
            return found.type
    raise KeyError(f"{kind.spelling} has no field {name}")


def array_shape(kind: Any) -> tuple[tuple[int, ...], Any]:
    """Dimensions of an array type (-1 where a template decides) and its element type."""
    dims: list[int] = []
    kind = kind.get_canonical()
    while "ARRAY" in type_kind(kind):
        dims.append(kind.element_count if type_kind(kind) == "CONSTANTARRAY" else -1)
        kind = kind.get_array_element_type()
    return tuple(dims), kind
