"""What `hls.area`'s rules give for each leaf: the same `leaves.cpp`, read instead of synthesised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hls.area.assumptions import A
from hls.area.reader import Reader
from hls.lint.check import Options, unit_of
from hls.render import BUILD
from hls.spec.config import HardwareConfig
from hls.spec.devices import Resources
from sim.rtl.leaf.leaf import Leaf, Port
from sim.rtl.leaf.llvm_ir import SOURCE

_CONTROL = A["lut_a_module"] + A["lut_a_loop"]
"""LUTs of the function and the loop that a leaf stands in here."""


def estimates(config: HardwareConfig, leaves: Sequence[Leaf], folder: Path) -> dict[str, Resources]:
    """Estimated resources by leaf, its tables in block RAM and no leaf's count applied. Files go to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "estimated.cpp"
    path.write_text(f'#include "{SOURCE}"\n' + "".join(_in_a_loop(leaf) for leaf in leaves))
    unit = unit_of(path, Options(includes=[str(BUILD / config.name)], macros=["PEELVIT_ESTIMATE"]))
    found = {}
    for leaf in leaves:
        reader = Reader(unit, f"each_{leaf.name}", config.clock_mhz)
        found[leaf.name] = reader.top.total(reader.period) + Resources(lut=-_CONTROL)
    return found


def _in_a_loop(leaf: Leaf) -> str:
    """A function with the leaf in a pipelined loop, which is where the kernels have it."""
    ports = (*leaf.inputs, *leaf.outputs)
    parameters = [("const " if port in leaf.inputs else "") + _parameter(port) for port in ports]
    pragmas = [f"#pragma HLS array_partition variable={port.name} type=complete\n" for port in ports if port.count > 1]
    call = f"{leaf.name}({', '.join(port.name for port in ports)});"
    return (
        f"void each_{leaf.name}({', '.join(parameters)}, int count) {{\n{''.join(pragmas)}"
        f"each:\n    for (int i = 0; i < count; ++i) {{\n#pragma HLS pipeline II=1\n        {call}\n    }}\n}}\n"
    )


def _parameter(port: Port) -> str:
    kind = f"{'S' if port.signed else 'U'}<{port.width}>"
    return f"{kind} (&{port.name})[{port.count}]" if port.count > 1 else f"{kind}& {port.name}"
