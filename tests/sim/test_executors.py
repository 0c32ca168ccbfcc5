"""The C simulation against the golden model: the same random programs leave the same windows, byte for byte."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from hls.spec.config import BOARDS, HardwareConfig, load
from hls.spec.status import Status
from host.device import Device, RunResult
from host.devices.csim import CsimDevice
from sim.csim import build
from sim.golden.device import GoldenDevice
from tests.sim.op_cases import OP_NAMES, Case, random_case
from tests.sim.windows import Window, first_difference

OTHERS = [name for name in BOARDS if name != "zcu102"]
QUICK = [("toy", "fast", range(60)), ("toy", "fidelity", range(60, 75)), ("zcu102", "fast", range(20))]
QUICK += [(name, "fast", range(3)) for name in OTHERS]
SLOW = [(name, "fast", range(3, 20)) for name in OTHERS] + [(name, "fidelity", range(20, 25)) for name in BOARDS]
"""Configuration, variant of the C simulation, and seeds."""

_config = cache(load)


@cache
def _csim(config: HardwareConfig, variant: str) -> CsimDevice:
    build(config, variant)
    return CsimDevice(config, variant=variant)


@cache
def _golden(config: HardwareConfig) -> GoldenDevice:
    return GoldenDevice(config)


def outcome(device: Device, case: Case) -> tuple[RunResult, Window]:
    """How the run ended, and the window afterwards."""
    device.allocate(case.window_words)
    device.write(0, case.memory)
    result = device.run(case.program)
    return result, device.read(0, case.memory.shape, np.uint8)


CASES = [
    pytest.param(name, config, variant, seeds, id=f"{config}-{variant}-{seeds.start}-{name}", marks=marks)
    for runs, marks in ((QUICK, ()), (SLOW, pytest.mark.slow))
    for config, variant, seeds in runs
    for name in OP_NAMES
    if name not in load(config).without
]


@pytest.mark.parametrize("op_name, config_name, variant, seeds", CASES)
def test_csim_equals_golden(op_name: str, config_name: str, variant: str, seeds: range) -> None:
    config = _config(config_name)
    csim, golden = _csim(config, variant), _golden(config)
    for seed in seeds:
        case = random_case(op_name, seed, config)
        (wanted, expected), (got, window) = outcome(golden, case), outcome(csim, case)
        difference = first_difference(case, expected, window)
        assert difference is None, f"{op_name}, seed {seed}, golden against {variant}: {difference}"
        assert (got.status, got.failed_instruction) == (wanted.status, wanted.failed_instruction), f"seed {seed}"


@pytest.mark.parametrize("op_name", load("zcu102").without)
def test_an_operation_that_the_accelerator_lacks_is_refused(op_name: str) -> None:
    config = _config("zcu102")
    case = random_case(op_name, 0, config)
    for device in (_golden(config), _csim(config, "fast")):
        result, window = outcome(device, case)
        assert (result.status, result.failed_instruction) == (Status.UNKNOWN_OPCODE, 0)
        assert np.array_equal(window, case.memory)
