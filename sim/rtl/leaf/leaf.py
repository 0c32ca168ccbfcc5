"""What a leaf is: one datapath of the kernels that becomes RTL, with its ports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Port:
    """`count` integers of `width` bits; the first one lies in the lowest bits."""

    name: str
    width: int
    signed: bool = True
    count: int = 1

    @property
    def bits(self) -> int:
        """Width of the whole port."""
        return self.width * self.count

    @property
    def element_bytes(self) -> int:
        """Bytes of one integer in C++, where `_BitInt(width)` fills a power of two."""
        return 1 << max(0, (self.width - 1).bit_length() - 3)


@dataclass(frozen=True)
class Leaf:
    """One function of `leaves.cpp`."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @property
    def out_bits(self) -> int:
        """Width of the one output of the module, the first port in the highest bits."""
        return sum(port.bits for port in self.outputs)


def s(name: str, width: int, count: int = 1) -> Port:
    """A signed port."""
    return Port(name, width, True, count)


def u(name: str, width: int, count: int = 1) -> Port:
    """An unsigned port."""
    return Port(name, width, False, count)
