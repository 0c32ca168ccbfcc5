"""The system around the accelerator: blocks, their addresses, memory ports and memory, as the processor sees them.

The Vivado block design, its checks, the virtual board's `.hwh` and the documentation are made from this table.
"""

from __future__ import annotations

from dataclasses import dataclass

TOP = "peelvit_top"
"""Top function of the kernels, and the name of the IP made of it."""
PROCESSOR = "zynq_ultra_ps_e_0"
"""Cell of the processing system."""


@dataclass(frozen=True)
class Block:
    """A block with registers on the control bus."""

    name: str
    """Cell of the block design, and the name by which the host's overlay finds it."""
    vlnv: str
    """Vendor, library, name and version; Vivado's own versions are looked up, these are what 2021.1 has."""
    interface: str
    """Its AXI4-Lite interface."""
    segment: str
    """Its address segment, as Vivado names it."""
    offset: int
    """Byte address."""
    bytes: int
    """Size of its address range."""
    text: str


@dataclass(frozen=True)
class MemoryPort:
    """One of the accelerator's memory masters and the port of the processing system that it is wired to."""

    argument: str
    """Of the top function, and the register of the window's address."""
    segment: str
    """Name of the port in address segments."""
    index: int
    """The port's number in the processing system's parameters (S_AXI_GP<index>)."""

    @property
    def bundle(self) -> str:
        """The argument's m_axi bundle."""
        return f"g{self.argument}"

    @property
    def master(self) -> str:
        """Interface of the accelerator's IP."""
        return f"m_axi_{self.bundle}"

    @property
    def port(self) -> str:
        """Interface of the processing system."""
        return f"S_AXI_{self.segment}_FPD"

    @property
    def clock(self) -> str:
        """The port's clock pin."""
        return f"saxi{self.segment.lower()}_fpd_aclk"


@dataclass(frozen=True)
class Range:
    """Memory that every memory port reaches."""

    segment: str
    offset: int
    bytes: int


BUS_WIDTH = 128
"""Bits of the memory masters and ports."""

KERNEL = Block(
    "peelvit", f"xilinx.com:hls:{TOP}:1.0", "s_axi_control", "s_axi_control/Reg",
    0xA000_0000, 0x1_0000, "the accelerator's registers",
)  # fmt: skip
TIMER = Block(
    "timer", "xilinx.com:ip:axi_timer:2.0", "S_AXI", "S_AXI/Reg", 0xA001_0000, 0x1_0000,
    "64-bit counter of the accelerator's clock; captures at the accelerator's interrupt",
)  # fmt: skip
INTERRUPTS = Block(
    "interrupts", "xilinx.com:ip:axi_intc:4.1", "s_axi", "S_AXI/Reg", 0xA002_0000, 0x1_0000,
    "interrupt controller: input 0 accelerator, input 1 timer",
)  # fmt: skip
PROVENANCE = Block(
    "provenance", "xilinx.com:ip:axi_gpio:2.0", "S_AXI", "S_AXI/Reg", 0xA003_0000, 0x1_0000,
    "0x0: first 8 digits of the git revision; 0x8: low word of the hardware configuration's hash",
)  # fmt: skip
BLOCKS = (KERNEL, TIMER, INTERRUPTS, PROVENANCE)

MEMORY_PORTS = (
    MemoryPort("mem0", "HP0", 2),
    MemoryPort("mem1", "HP1", 3),
    MemoryPort("mem2", "HP3", 5),
    MemoryPort("mem3", "HP2", 4),
    MemoryPort("mem4", "HPC0", 0),
)
"""HP1 and HP2 share a port of the memory controller (UG1085: XPI 4), as wide as each of them and clocked with the
controller. At 150 MHz both together, 4.8 GB/s a way, stay below what it moves. HPC0 is coherent only for requests that
are marked cacheable; the accelerator's are not. The last two are the attention unit's own."""

MEMORY = (Range("DDR_LOW", 0x0, 0x8000_0000), Range("DDR_HIGH", 0x8_0000_0000, 0x8000_0000))
