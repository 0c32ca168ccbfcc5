"""One instruction on zeros, which no loop's length depends on: what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from hls.spec.config import load
from hls.spec.instruction import Matrix, assemble, make
from hls.spec.legality import words_per_row
from hls.spec.ops import BY_NAME, evaluate
from hls.spec.slots import RECORD_WORDS
from hls.spec.status import Status
from host.device import RunResult
from host.devices.csim import CsimDevice
from sim.csim import build

CONFIG = load("zcu102")
SLOTS = 16


@cache
def device() -> CsimDevice:
    """The C simulation of zcu102."""
    build(CONFIG, "fast")
    return CsimDevice(CONFIG)


def run(op_name: str, flags: tuple[str, ...], shape: Mapping[str, int]) -> RunResult:
    """The result of a program of this instruction; operands lie one behind the other, each row behind the last."""
    op = BY_NAME[op_name]
    operands, word = {}, RECORD_WORDS * SLOTS
    for operand in op.operands:
        if operand.flag in (None, *flags):
            pitch = words_per_row(operand.element, evaluate(operand.columns, shape))
            operands[operand.name] = Matrix(word, pitch)
            word += pitch * evaluate(operand.rows, shape)
    immediates = dict.fromkeys(op.immediates, 1)
    instruction = make(op_name, flags=flags, dimensions=shape, immediates=immediates, **operands)
    code = np.frombuffer(assemble([instruction], CONFIG.hash, 0, SLOTS), np.uint8)
    device().allocate(word + len(code) // 16)
    device().write(word, code)
    result = device().run(word)
    assert result.status is Status.OK
    return result
