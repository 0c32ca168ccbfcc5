"""Every op of the golden model against the plain-Python definition, over whole windows."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from hls.spec.config import load
from hls.spec.ops import OPS, Access
from hls.spec.status import Status
from sim.golden import heads, tokens
from sim.golden.device import GoldenDevice
from sim.golden.ops import FUNCTIONS
from tests.sim.golden.reference import Reference
from tests.sim.op_cases import OP_NAMES, Case, random_case
from tests.sim.windows import Window, first_difference

SEEDS = range(30)
TOY = load("toy")


def golden_window(case: Case) -> Window:
    device = GoldenDevice(TOY)
    device.allocate(case.window_words)
    device.write(0, case.memory)
    result = device.run(case.program)
    assert (result.status, result.failed_instruction) == (Status.OK, 1)
    return device.read(0, case.memory.shape, np.uint8)


@pytest.mark.parametrize("op_name", OP_NAMES)
def test_op_follows_the_definition(op_name: str) -> None:
    for seed in SEEDS:
        case = random_case(op_name, seed, TOY)
        assert first_difference(case, golden_window(case), Reference(case).run()) is None, f"seed {seed}"


@pytest.mark.parametrize("module", [heads, tokens], ids=["images", "rows"])
@pytest.mark.parametrize("op_name", ["gemm_nt", "gemm_nn", "gelu", "gelu_backward", "attention", "attention_backward"])
def test_the_size_of_groups_changes_nothing(op_name: str, module, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [random_case(op_name, seed, TOY) for seed in range(8)]
    together = [golden_window(case) for case in cases]
    monkeypatch.setattr(module, "_ELEMENTS", 1)
    assert all(np.array_equal(golden_window(case), window) for case, window in zip(cases, together, strict=True))


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_row_of_the_table_has_a_function_of_its_name(op) -> None:
    function = FUNCTIONS[op.name]
    assert (function.__name__, function.__module__) == (op.name, f"sim.golden.ops.{op.name}")
    if op.unit == "control":
        return
    taken = {p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY}
    read = {o.name for o in op.operands if o.access is Access.READ or o.access is Access.UPDATE}
    assert taken >= read
    assert taken <= read | {*op.dimensions, *op.immediates, "f", "flags", "slots"}
