"""XLS IR -> pipelined SystemVerilog, at the number of stages that a stated rule gives.

The rule: the fewest stages whose longest path, by XLS's delay model `sky130`, fits the clock period less the
uncertainty that Vitis HLS takes off it by default (27 %). sky130 is a 130 nm standard-cell process: no model of
UltraScale+ exists in XLS. Inputs and outputs are registered, so the latency is the stages and one.
"""

from __future__ import annotations

from dataclasses import dataclass

from xls.c_api import Package, optimize_ir

from hls.spec.config import HardwareConfig
from host.errors import PeelVitError
from sim.rtl.leaf.leaf import Leaf
from sim.rtl.leaf.xls_ir import Translated

DELAY_MODEL = "sky130"
UNCERTAINTY = 0.27
"""Part of the period kept free: the default of `set_clock_uncertainty` in Vitis HLS 2021.1."""


@dataclass(frozen=True)
class Module:
    """A leaf in SystemVerilog."""

    leaf: Leaf
    text: str
    latency: int
    """Cycles from an input to its output: the ranks of registers."""

    table_bits: int
    """Bits of its constant tables: in LUTs here, in block RAM in the kernels."""

    @property
    def stages(self) -> int:
        """Cycles of computing, between the registers of the inputs and those of the outputs."""
        return self.latency - 1


def period_ps(config: HardwareConfig) -> int:
    """Time for the logic of one stage."""
    return int(1e6 / config.clock_mhz * (1 - UNCERTAINTY))


def module(translated: Translated, period: int) -> Module:
    """Schedule and write one leaf; `period` in picoseconds."""
    leaf = translated.leaf
    package = Package.parse_ir(optimize_ir(translated.text, leaf.name))
    try:
        text = package.schedule_and_codegen(
            generator="pipeline", with_delay_model=True, delay_model=DELAY_MODEL, clock_period_ps=period,
            flop_inputs=True, flop_outputs=True, use_system_verilog=True, module_name=leaf.name,
        ).get_verilog_text()  # fmt: skip
    except RuntimeError:
        raise PeelVitError(
            f"leaf {leaf.name} has no schedule at {period} ps a stage: one of its operations alone takes longer"
        ) from None
    return Module(leaf, text, text.count("// Registers for pipe stage"), translated.table_bits)
