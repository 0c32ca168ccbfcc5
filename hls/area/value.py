"""What is known of a number while the kernels are read: the interval it lies in, and where it changes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field

_MAX_SHIFT = 1 << 9


@dataclass(eq=False)
class Value:
    """A number in hardware. `key` is equal for equal computations; `loops` are the unrolled loops that decide it, so it
    exists once for each of their copies; `fixed` if synthesis knows it in each copy."""

    low: int
    high: int
    key: Hashable
    loops: frozenset[int] = frozenset()
    fixed: bool = False
    ready: float = 0.0
    """Nanoseconds after the start of a pipeline's iteration."""
    last: float = field(default=0.0)
    """When it is needed for the last time."""
    product: bool = False
    """Whether it leaves a multiplier, whose adder can take the next addition."""
    low_bits: int = 0
    section: object = None
    """Pipeline (or code outside of pipelines) that makes it."""
    accumulated: bool = False
    """Whether a multiplier's own adder makes it."""
    crosses: bool = False
    """Whether other ones need it."""
    is_state: bool = False
    """Whether it is held in registers, or chosen among such: it needs none to wait for its use."""
    in_accumulator: bool = False
    """Whether a multiplier's accumulator holds it."""
    is_carried: bool = False
    """Whether the iterations of an unrolled loop hand it on, so that sums of it become a tree."""
    new_bits: int = 0
    """Bits that its operator makes, where the others only pass; 0 if all."""
    demand: int = 0
    """Low bits that its uses need; 0 if none is known."""
    source: Value | None = None
    """What it is the low bits of."""
    uses: int = 0
    """Uses that asked for it."""
    addition: object = None
    """The operator that makes it, if it adds two numbers in LUTs and another one may take it in."""

    @property
    def root(self) -> Value:
        """The value that is made in hardware."""
        return self if self.source is None else self.source.root

    def ask(self, bits: int) -> None:
        """Note that a use needs the low `bits`."""
        self.root.demand = max(self.root.demand, min(bits, self.width))
        self.root.uses += 1

    @property
    def is_true(self) -> bool:
        """Whether it is known to be 1."""
        return self.low == self.high == 1

    @property
    def is_zero(self) -> bool:
        """Whether it is known to be 0."""
        return self.low == self.high == 0

    @property
    def known_bits(self) -> int:
        """How many of its lowest bits are known in each copy."""
        return 64 if self.fixed else self.low_bits

    @property
    def is_constant(self) -> bool:
        """Whether it is one number known at synthesis."""
        return self.fixed and self.low == self.high

    @property
    def width(self) -> int:
        """Bits it needs, with a sign where it may be negative."""
        return width(self.low, self.high)

    @property
    def signed_width(self) -> int:
        """Bits as a signed number."""
        return self.width + (self.low >= 0)


def constant(number: int) -> Value:
    """A number known at synthesis."""
    return Value(number, number, ("constant", number), fixed=True)


def width(low: int, high: int) -> int:
    """Bits of an interval's numbers, with a sign where one may be negative; at least 1."""
    if low < 0:
        return max((~low).bit_length(), high.bit_length() if high > 0 else 0) + 1
    return max(high.bit_length(), 1)


Interval = tuple[int, int]


def hull(intervals: Iterable[Interval]) -> Interval:
    """The smallest interval that holds all."""
    lows, highs = zip(*intervals, strict=True)
    return min(lows), max(highs)


def clip(interval: Interval, bounds: Interval | None) -> Interval:
    """The interval where it fits the type; all of the type where it may wrap."""
    if bounds is None or (bounds[0] <= interval[0] and interval[1] <= bounds[1]):
        return interval
    return bounds


def interval(symbol: str, a: Interval, b: Interval) -> Interval | None:
    """Interval of `a symbol b`; None where it is not known."""
    rule = _RULES.get(symbol)
    return None if rule is None else rule(a, b)


def _corners(function: Callable[[int, int], int]) -> Callable[[Interval, Interval], Interval]:
    def rule(a: Interval, b: Interval) -> Interval:
        found = [function(x, y) for x in a for y in b]
        return min(found), max(found)

    return rule


def _and(a: Interval, b: Interval) -> Interval:
    positive = [i for i in (a, b) if i[0] >= 0]
    if positive:
        return 0, min(i[1] for i in positive)
    return -1 << max(width(*a), width(*b)), max(a[1], b[1], 0)


def _or(a: Interval, b: Interval) -> Interval:
    bits = max(width(*a), width(*b))
    if a[0] >= 0 and b[0] >= 0:
        return 0, (1 << bits) - 1
    return -1 << (bits - 1), (1 << (bits - 1)) - 1


def _divide(a: Interval, b: Interval) -> Interval:
    largest = max(abs(a[0]), abs(a[1])) // max(1, min(abs(b[0]), abs(b[1])) if b[0] > 0 or b[1] < 0 else 1)
    return (0 if a[0] >= 0 and b[0] >= 0 else -largest), (largest if a[1] > 0 or b[0] < 0 else 0)


def _remainder(a: Interval, b: Interval) -> Interval:
    largest = min(max(abs(b[0]), abs(b[1]), 1) - 1, max(abs(a[0]), abs(a[1])))
    return (0 if a[0] >= 0 else -largest), largest


def _shift_left(a: Interval, b: Interval) -> Interval | None:
    if b[1] > _MAX_SHIFT:
        return None
    return _corners(lambda x, y: x << max(y, 0))(a, b)


def _compare(decide: Callable[[Interval, Interval], bool | None]) -> Callable[[Interval, Interval], Interval]:
    def rule(a: Interval, b: Interval) -> Interval:
        decided = decide(a, b)
        return (0, 1) if decided is None else (int(decided), int(decided))

    return rule


def _less(a: Interval, b: Interval) -> bool | None:
    return True if a[1] < b[0] else (False if a[0] >= b[1] else None)


def _equal(a: Interval, b: Interval) -> bool | None:
    if a == b and a[0] == a[1]:
        return True
    return False if a[1] < b[0] or b[1] < a[0] else None


def _not(decided: bool | None) -> bool | None:
    return None if decided is None else not decided


_RULES: dict[str, Callable[[Interval, Interval], Interval | None]] = {
    "+": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "-": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "*": _corners(lambda x, y: x * y),
    "/": _divide,
    "%": _remainder,
    "&": _and,
    "|": _or,
    "^": _or,
    "<<": _shift_left,
    ">>": _corners(lambda x, y: x >> min(max(y, 0), _MAX_SHIFT)),
    "<": _compare(_less),
    ">=": _compare(lambda a, b: _not(_less(a, b))),
    ">": _compare(lambda a, b: _less(b, a)),
    "<=": _compare(lambda a, b: _not(_less(b, a))),
    "==": _compare(_equal),
    "!=": _compare(lambda a, b: _not(_equal(a, b))),
    "&&": _compare(lambda a, b: False if (0, 0) in (a, b) else (True if a == b == (1, 1) else None)),
    "||": _compare(lambda a, b: True if (1, 1) in (a, b) else (False if a == b == (0, 0) else None)),
}
