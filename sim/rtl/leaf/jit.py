"""XLS's just-in-time compiler: a leaf's computation against the golden model, without a simulator and without time."""

from __future__ import annotations

from xls.c_api import Bits, Package, Value, optimize_ir

from hls.spec.config import HardwareConfig
from sim.rtl.leaf.vectors import SOURCES, Draw, joined, packed
from sim.rtl.leaf.xls_ir import Translated


def _value(bits: int, word: int) -> Value:
    return Value.from_bits(Bits.from_bytes(bits, word.to_bytes((bits + 7) // 8, "little")))


def mismatch(config: HardwareConfig, translated: Translated, vectors: int) -> str:
    """The first vector on which leaf and golden model differ, as a sentence; empty when there is none."""
    leaf = translated.leaf
    compiled = Package.parse_ir(optimize_ir(translated.text, leaf.name)).get_function(leaf.name).to_jit()
    inputs, outputs = SOURCES[leaf.name](Draw(config, vectors))
    columns = [packed(port, inputs[port.name]) for port in leaf.inputs]
    for words, expected in zip(zip(*columns, strict=True), joined(leaf.outputs, outputs), strict=True):
        arguments = [_value(port.bits, word) for port, word in zip(leaf.inputs, words, strict=True)]
        result = int.from_bytes(bytes(compiled.run(arguments).get_bits().to_bytes()), "little")
        if result != expected:
            given = ", ".join(f"{port.name}={word:#x}" for port, word in zip(leaf.inputs, words, strict=True))
            return f"{leaf.name}({given}) gives {result:#x}, golden {expected:#x}"
    return ""
