"""Multiply-accumulates that an instruction really does."""

from __future__ import annotations

from collections.abc import Mapping

from hls.spec.instruction import Instruction
from hls.spec.ops import evaluate


def macs(instruction: Instruction) -> int:
    """Those of the op table, less the keys that sparse attention does not read."""
    d = instruction.dimensions
    flags = {flag: int(flag in instruction.flags) for flag in instruction.op.flags}
    dense = evaluate(instruction.op.macs, d | flags)
    if "SPARSE" not in instruction.flags:
        return dense
    tokens, (class_queries, patch_queries) = 1 + d["patches"], asked_queries(d)
    pairs = class_queries * tokens + patch_queries * (1 + d["key_count"])
    return dense * pairs // (tokens * (class_queries + patch_queries))


def asked_queries(dimensions: Mapping[str, int]) -> tuple[int, int]:
    """Class and patch queries of an image that an attention instruction asks; backward, these are all."""
    count = dimensions.get("count", dimensions["queries"])
    class_queries = int(dimensions.get("first", 0) == 0)
    return class_queries, count - class_queries
