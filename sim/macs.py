"""Multiply-accumulates that an instruction really does."""

from __future__ import annotations

from hls.spec.instruction import Instruction
from hls.spec.ops import evaluate


def macs(instruction: Instruction) -> int:
    """Those of the op table, less the keys that sparse attention does not read."""
    d = instruction.dimensions
    flags = {flag: int(flag in instruction.flags) for flag in instruction.op.flags}
    dense = evaluate(instruction.op.macs, d | flags)
    if "SPARSE" not in instruction.flags:
        return dense
    tokens, queries = 1 + d["patches"], d.get("count", d["queries"])
    class_queries = int(d.get("first", 0) == 0)
    pairs = class_queries * tokens + (queries - class_queries) * (1 + d["key_count"])
    return dense * pairs // (tokens * queries)
