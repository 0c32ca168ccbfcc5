"""What the cycles of an attention instruction grow with, from the lanes of the unit."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hls.spec.config import HardwareConfig
from hls.spec.instruction import Instruction
from sim.macs import asked_queries

PASSES = frozenset({"SCORES", "VALUES"})


def features(instruction: Instruction, config: HardwareConfig) -> NDArray[np.float64]:
    """[5] of an instruction: itself, its (image, head) units, their rows to load, their steps in all lanes; what its
    map has beside that, which is added up over the heads and stored behind the last one.

    An instruction of one pass instead of both has half of each unit.
    """
    d = instruction.dimensions
    share = len(instruction.flags & PASSES) / len(PASSES) if instruction.op.name == "attention" else 1.0
    units, tokens = d["batch"] * d["heads"], 1 + d["patches"]
    keys = 1 + d["key_count"] if "SPARSE" in instruction.flags else tokens
    class_queries, patch_queries = asked_queries(d)
    steps = class_queries * tokens + math.ceil(patch_queries / config.lanes) * keys
    map_elements = d["batch"] * d.get("map_rows", 0) * tokens
    return np.array([1.0, *(share * units * each for each in (1, tokens, steps)), map_elements])
