"""Arrays in hardware: cut into banks by the pragmas, and packed into block, ultra or distributed RAM or registers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from hls.area.assumptions import A
from hls.area.cost import choose
from hls.spec.devices import Resources

BRAM36_BITS = 36 * 1024
URAM_WORDS = 4096
_SHAPES = ((512, 72), (1024, 36), (2048, 18), (4096, 9), (8192, 4), (16384, 2), (32768, 1))
"""Depths and widths of a RAMB36E2; a RAMB18E2 has half the width at each depth (UG573). 72 takes both ports."""


class Kind(Enum):
    """What holds an array."""

    BLOCK = "BRAM"
    ULTRA = "URAM"
    DISTRIBUTED = "LUTRAM"
    REGISTERS = "registers"
    FIFO = "FIFO"


@dataclass(frozen=True)
class Partition:
    """How a dimension is cut: into `banks` memories, each `depth` long."""

    banks: int
    depth: int
    type: str


@dataclass(eq=False)
class Array:
    """An array as declared, with what the pragmas and the loops say about it."""

    name: str
    bits: int
    dims: tuple[int, ...]
    partitions: dict[int, tuple[str, int]] = field(default_factory=dict)
    """By dimension (from 0): type and factor."""
    reshaped: frozenset[int] = frozenset()
    binding: str = ""
    implementation: str = ""
    copies: int = 1
    """Buffers: 2 and more between tasks of a dataflow region."""
    fifo_depth: int = 0
    """Entries, where it is a FIFO between tasks."""
    is_rom: bool = False
    in_accumulators: bool = False
    """Whether multipliers hold it in their accumulators."""
    reads: float = 0
    """Reads of one bank in a cycle, at most."""
    writes: float = 0
    together: float = 0
    """Reads and writes of one bank in a cycle of one loop, at most."""
    readers: set[str] = field(default_factory=set)
    """Functions that read it."""
    writers: set[str] = field(default_factory=set)

    def cut(self, dim: int) -> Partition:
        """Banks and depth of a dimension."""
        size = self.dims[dim]
        kind, factor = self.partitions.get(dim, ("none", 1))
        if kind == "complete":
            return Partition(size, 1, kind)
        return Partition(min(factor, size), math.ceil(size / factor), kind)

    @property
    def banks(self) -> int:
        """Memories of one buffer."""
        return math.prod(self.cut(d).banks for d in range(len(self.dims)) if d not in self.reshaped)

    @property
    def width(self) -> int:
        """Bits of a bank's word."""
        return self.bits * math.prod(self.cut(d).banks for d in self.reshaped)

    @property
    def depth(self) -> int:
        """Words of a bank."""
        return math.prod(self.cut(d).depth for d in range(len(self.dims)))

    @property
    def kind(self) -> Kind:
        """What holds it."""
        if self.fifo_depth:
            return Kind.FIFO
        if self.depth == 1 and not self.is_rom:
            return Kind.REGISTERS
        if self.implementation == "bram":
            return Kind.BLOCK
        if self.implementation == "uram":
            return Kind.ULTRA
        if self.implementation == "lutram":
            return Kind.DISTRIBUTED
        if self.depth <= A["lutram_depth"] or self.depth * self.width <= A["lutram_bits"]:
            return Kind.DISTRIBUTED
        return Kind.BLOCK

    @property
    def replicas(self) -> int:
        """Copies that give it its read ports; a memory of one write and N read ports has a copy a port."""
        if self.is_rom:
            return max(1, math.ceil(self.reads / 2))
        if self.binding == "ram_1wnr" or self.kind is Kind.DISTRIBUTED:
            return max(1, math.ceil(self.reads))
        return 1

    @property
    def needs_both_ports(self) -> bool:
        """Whether a bank is read or written twice a cycle, which forbids the widest shape."""
        reads = 1 if self.replicas > 1 else self.reads
        return reads > 1 or self.writes > 1

    def resources(self) -> Resources:
        """Of all its banks, buffers and replicas."""
        number = self.banks * self.copies * self.replicas
        if self.kind is Kind.FIFO:
            return fifo(self.fifo_depth, self.width, self.implementation) * self.banks
        if self.kind is Kind.REGISTERS:
            return Resources(ff=0 if self.in_accumulators else self.bits * number)
        if self.kind is Kind.DISTRIBUTED:
            return Resources(lut=number * lutram(self.depth, self.width, self.is_rom), ff=number * self.width / 2)
        if self.kind is Kind.ULTRA:
            return Resources(uram=number * uram(self.depth, self.width))
        return Resources(bram36=number * bram36(self.depth, self.width, self.needs_both_ports))

    def port_multiplexers(self) -> float:
        """LUTs that lead addresses and data of several functions to the ports; channels have ports for each side."""
        if self.kind not in (Kind.BLOCK, Kind.ULTRA, Kind.DISTRIBUTED) or self.is_rom or self.copies > 1:
            return 0.0
        address = math.ceil(math.log2(max(2, self.depth)))
        reads = choose(len(self.readers), address).lut
        return self.banks * (reads + choose(len(self.writers), address + self.width + 1).lut)

    def faults(self) -> Iterator[str]:
        """Accesses that the memory has no ports for."""
        if self.kind in (Kind.REGISTERS, Kind.FIFO) or self.is_rom:
            return
        if self.writes > 2 or (self.replicas == 1 and (self.reads > 2 or self.together > 2)):
            yield (
                f"{self.name}: a bank is read {self.reads:g} and written {self.writes:g} times a cycle "
                f"({self.together:g} in one loop) and has two ports"
            )


def bram36(depth: int, width: int, both_ports: bool = False) -> float:
    """RAMB36 of a memory, a RAMB18 counting half; `both_ports` if two accesses a cycle need two full ports."""
    return min(_columns(depth, width, shape) for shape in _SHAPES[int(both_ports) :])


def uram(depth: int, width: int) -> int:
    """URAM of a memory: one shape only, 4,096 words of 72 bits, each with a port to read and one to write (UG573)."""
    return math.ceil(depth / URAM_WORDS) * math.ceil(width / 72)


def _columns(depth: int, width: int, shape: tuple[int, int]) -> float:
    words, bits = shape
    whole, rest = divmod(width, bits)
    rows = math.ceil(depth / words)
    if rest == 0:
        return rows * whole
    return rows * (whole + (0.5 if bits > 1 and rest <= bits // 2 else 1))


def fifo(depth: int, width: int, implementation: str = "") -> Resources:
    """A FIFO: shift registers where it is short, unless it is bound, else a block RAM or URAM; with its counters."""
    control = 3 * math.ceil(math.log2(depth + 1))
    is_short = depth <= A["lutram_depth"] or depth * width <= A["lutram_bits"]
    if implementation == "srl" or (is_short and implementation not in ("bram", "uram")):
        return Resources(lut=width * math.ceil(depth / 32) + control, ff=width + control)
    if implementation == "uram":
        return Resources(uram=uram(depth, width), lut=control, ff=width + control)
    return Resources(bram36=bram36(depth, width), lut=control, ff=width + control)


def lutram(depth: int, width: int, is_rom: bool = False) -> float:
    """LUTs of a distributed memory: RAM32M16 (8 LUTs, 32 x 14), RAM64M8 (8 LUTs, 64 x 7), or a table of LUT6."""
    if is_rom:
        return math.ceil(depth / 64) * width
    if depth <= 32:
        return 8 * math.ceil(width / 14)
    return 8 * math.ceil(width / 7) * math.ceil(depth / 64)
