"""The cell of the GEMM engine: two multiply-accumulates in one DSP48E2, the one leaf with a state, written by hand.

XLS makes the arithmetic of a step (leaf `mac`) from the C++; the register of the sum, its feedback and the primitive
are `mac_cell.sv`. The bench runs the description and the primitive, so all three are held equal to the golden model.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from host.errors import PeelVitError
from sim.rtl.leaf.leaf import Leaf, s, u
from sim.rtl.leaf.verilog import Module

SOURCE = Path(__file__).with_name("mac_cell.sv")
MODEL = Path(__file__).with_name("dsp48e2.sv")
LATENCY = 4
FACTORS = (s("a0", 16), s("a1", 16), s("b0", 16), s("b1", 16))
NAMES = ("mac_cell", "mac_cell_primitive")


def dsp48e1() -> str:
    """Yosys's simulation model of the DSP48E1, out of its library of Xilinx cells."""
    spec = importlib.util.find_spec("pyosys")
    if spec is None or spec.origin is None:
        raise PeelVitError("the DSP model comes with the Python package pyosys; run `make setup`")
    cells = (Path(spec.origin).parent / "share/xilinx/cells_sim.v").read_text()
    return "module DSP48E1 (" + cells.partition("module DSP48E1 (")[2].partition("endmodule")[0] + "endmodule\n"


def modules() -> list[Module]:
    """The description and the primitive; one file holds both, the models of the primitive stand in the other."""
    ports = (*FACTORS, u("opens", 1)), (s("sum", 48),)
    texts = (SOURCE.read_text(), dsp48e1() + MODEL.read_text())
    return [Module(Leaf(name, *ports), text, LATENCY, 0) for name, text in zip(NAMES, texts, strict=True)]
