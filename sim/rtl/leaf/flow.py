"""From the kernels' C++ to SystemVerilog, for all leaves of a configuration."""

from __future__ import annotations

from collections.abc import Sequence

from hls.render import BUILD
from hls.spec.config import HardwareConfig
from host.errors import PeelVitError
from sim.rtl.leaf import mac_cell
from sim.rtl.leaf.llvm_ir import compile_leaves
from sim.rtl.leaf.table import leaves
from sim.rtl.leaf.verilog import Module, module, period_ps
from sim.rtl.leaf.xls_ir import Translated, translate

FOLDER = BUILD / "leaf"


def translated(config: HardwareConfig, only: Sequence[str] = ()) -> list[Translated]:
    """Leaves of `leaves.cpp` (all, or `only` these) in XLS IR."""
    llvm_ir = compile_leaves(config)
    return [translate(llvm_ir, leaf) for leaf in leaves(config).values() if not only or leaf.name in only]


def made(config: HardwareConfig, only: Sequence[str] = ()) -> list[Module]:
    """Leaves (all, or `only` these) in SystemVerilog, the multiply-accumulate cell with them."""
    known = [*leaves(config), *mac_cell.NAMES]
    unknown = [name for name in only if name not in known]
    if unknown:
        raise PeelVitError(f"there is no leaf {unknown[0]}; the leaves are {', '.join(known)}")
    cells = mac_cell.modules() if not only or set(only) & set(mac_cell.NAMES) else []
    return cells + [module(leaf, period_ps(config)) for leaf in translated(config, only)]
