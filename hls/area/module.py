"""The tree of function instances, with what each one holds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from hls.area.assumptions import A
from hls.area.cost import Cost
from hls.area.memory import Array
from hls.area.value import Value
from hls.spec.devices import Resources

Bank = tuple[int | None, ...]
"""Constant indices of the dimensions that are cut completely, None where synthesis does not know the index."""


@dataclass
class Multiplier:
    """A product that takes DSP slices; `copies` of it work at once."""

    line: int
    a: int
    b: int
    dsp: int
    copies: float


@dataclass
class Access:
    """`times` reads or writes of one bank of an array in a cycle."""

    array: Array
    is_write: bool
    key: int
    times: float
    bank: Bank = ()

    def may_meet(self, bank: Bank) -> bool:
        """Whether this bank may be one of those it goes to."""
        return all(a is None or b is None or a == b for a, b in zip(self.bank, bank, strict=False))


@dataclass
class Branch:
    """Operators and accesses that may work in the same cycle, and forks of which one side does."""

    multipliers: list[Multiplier] = field(default_factory=list)
    accesses: list[Access] = field(default_factory=list)
    forks: list[tuple[Branch, Branch]] = field(default_factory=list)

    def shared(self) -> list[Multiplier]:
        """Multipliers when the sides of every fork share them."""
        sides = [max((a.shared(), b.shared()), key=slices) for a, b in self.forks]
        return self.multipliers + [multiplier for side in sides for multiplier in side]

    def dropped(self) -> list[Multiplier]:
        """Those that `shared` leaves out: their operands are multiplexed into others."""
        found = []
        for a, b in self.forks:
            smaller = min((a, b), key=lambda side: slices(side.shared()))
            found += [*smaller.shared(), *a.dropped(), *b.dropped()]
        return found

    def accesses_by_array(self) -> dict[Array, tuple[float, float, float]]:
        """Most reads, writes and both of a bank of each array in a cycle; the sides of a fork exclude each other."""
        banks: dict[Array, list[Bank]] = {}
        for access in self.all_accesses():
            banks.setdefault(access.array, []).append(access.bank)
        counts = {array: [self._at(array, bank) for bank in _named(found)] for array, found in banks.items()}
        return {
            array: (max(r for r, _ in found), max(w for _, w in found), max(r + w for r, w in found))
            for array, found in counts.items()
        }

    def all_accesses(self) -> Iterator[Access]:
        """Those of the forks too."""
        yield from self.accesses
        for sides in self.forks:
            for side in sides:
                yield from side.all_accesses()

    def _at(self, array: Array, bank: Bank) -> tuple[float, float]:
        """Reads and writes that may go to a bank."""
        met = {(a.key, a.is_write): a for a in self.accesses if a.array is array and a.may_meet(bank)}
        reads = sum(a.times for a in met.values() if not a.is_write)
        writes = sum(a.times for a in met.values() if a.is_write)
        for sides in self.forks:
            counts = [side._at(array, bank) for side in sides]
            reads += max(r for r, _ in counts)
            writes += max(w for _, w in counts)
        return reads, writes


def _named(banks: list[Bank]) -> Iterator[Bank]:
    """All banks of the constants in each dimension; None where a dimension has none."""
    return itertools.product(*({i for i in seen if i is not None} or {None} for seen in zip(*banks, strict=False)))


def multiplexers(multipliers: list[Multiplier]) -> float:
    """LUTs that lead the operands of these into multipliers that others use too: one for two bits."""
    return sum((m.a + m.b) / 2 * m.copies for m in multipliers)


def slices(multipliers: list[Multiplier]) -> float:
    """DSP slices of all."""
    return sum(m.dsp * m.copies for m in multipliers)


@dataclass(eq=False)
class Made:
    """A value with the operator that makes it."""

    value: Value
    copies: float
    inputs: list[Value]
    cost: Callable[[int], Cost]
    """By the bits of the result that are needed."""
    requests: Callable[[int], list[int]]
    """Low bits of each input, by the bits of the result."""
    scale: float = 1.0
    """Of its LUTs: what a synthesis counted, over what the rules give."""
    multiplier: Multiplier | None = None
    is_taken: bool = False
    """Whether the operator behind it takes it in, if it is the only one."""
    bits: int = 0

    def settle(self) -> Cost:
        """Fix the bits needed, once all uses are known, and pass on what that takes of the inputs."""
        value = self.value
        self.bits = value.width if value.crosses or not value.demand else min(value.width, value.demand)
        self.bits = value.new_bits or self.bits
        for one, bits in zip(self.inputs, self.requests(self.bits), strict=True):
            one.ask(max(bits, 1))
        cost = self.cost(self.bits)
        if self.is_taken and value.uses == 1 and not value.crosses:
            cost = replace(cost, lut=0.0)
        if self.multiplier is not None:
            self.multiplier.dsp = cost.dsp
        return cost


@dataclass(eq=False)
class Section:
    """A pipelined loop, or what a function does outside of them (`is_pipelined` false)."""

    name: str
    line: int
    is_pipelined: bool
    interval: int = 1
    operators: Branch = field(default_factory=Branch)
    lut: float = 0.0
    ff: float = 0.0
    made: list[Made] = field(default_factory=list)
    end: float = 0.0
    """Nanoseconds to its last result."""

    def settle(self) -> None:
        """Count what was made, the last first."""
        for made in reversed(self.made):
            self.add(made.settle(), made.copies, made.scale)

    def add(self, cost: Cost, copies: float, scale: float = 1.0) -> None:
        """Count an operator's fabric."""
        self.lut += cost.lut * copies * scale
        self.ff += cost.ff * copies

    def multipliers(self) -> list[Multiplier]:
        """Those it keeps: one of each shape outside of pipelines, where states share them."""
        found = self.operators.shared()
        if self.is_pipelined:
            return [replace(m, copies=m.copies / self.interval) for m in found]
        shapes = {m.dsp: m for m in sorted(found, key=lambda m: m.copies)}
        return list(shapes.values())

    def stages(self, period: float) -> int:
        """Depth of the pipeline."""
        return int(self.end // period) + 1

    def sharing(self) -> float:
        """LUTs that lead operands into shared multipliers."""
        found = self.operators.shared()
        turns = (1 - 1 / self.interval) * multiplexers(found) if self.is_pipelined else 0.0
        return turns + multiplexers(self.operators.dropped())

    def resources(self, period: float) -> Resources:
        """Fabric without multipliers and memories: operators, pipeline registers, control."""
        lut, ff = self.lut + self.sharing(), self.ff
        for made in self.made:
            value, bits = made.value, made.copies * made.bits
            alive = int(value.last // period) - int(value.ready // period)
            if value.is_state:
                continue
            if self.is_pipelined and alive > 2:  # shift register LUT
                lut += bits * math.ceil(alive / 32)
                ff += bits
            elif self.is_pipelined:
                ff += bits * max(alive, 0)
            elif alive > 0 or value.crosses:
                ff += bits
        if self.is_pipelined:
            lut += A["lut_a_loop"]
            ff += A["ff_a_stage"] * self.stages(period)
        return Resources(lut=lut, ff=ff)


@dataclass(eq=False)
class Module:
    """An instance of a function."""

    name: str
    sections: list[Section] = field(default_factory=list)
    arrays: list[Array] = field(default_factory=list)
    children: dict[object, Module] = field(default_factory=dict)
    limit: int | None = None
    """Most multipliers, where a pragma says so."""
    channels: int = 0

    def multipliers(self) -> list[Multiplier]:
        """Its own, after sharing."""
        found = [m for section in self.sections for m in section.multipliers()]
        if self.limit is None:
            return found
        left, kept = float(self.limit), []
        for m in sorted(found, key=lambda m: -m.dsp):
            kept.append(replace(m, copies=min(m.copies, left)))
            left -= kept[-1].copies
        return kept

    def limiting(self) -> float:
        """LUTs that lead operands into the multipliers that a limit leaves."""
        return 0.0 if self.limit is None else self._all_multiplexers() - multiplexers(self.multipliers())

    def _all_multiplexers(self) -> float:
        return sum(multiplexers(section.multipliers()) for section in self.sections)

    def own(self, period: float) -> Resources:
        """Without its children."""
        total = Resources(dsp=slices(self.multipliers()))
        for section in self.sections:
            total += section.resources(period)
        for array in self.arrays:
            total += array.resources()
        total += Resources(lut=A["lut_a_module"] + self.limiting(), ff=A["ff_a_module"])
        return total + Resources(lut=A["lut_a_channel"], ff=A["ff_a_channel"]) * self.channels

    def total(self, period: float) -> Resources:
        """With all its children."""
        total = self.own(period)
        for child in self.children.values():
            total += child.total(period)
        return total

    def walk(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Module]]:
        """Itself and all below, with paths."""
        yield (*path, self.name), self
        for child in self.children.values():
            yield from child.walk((*path, self.name))
