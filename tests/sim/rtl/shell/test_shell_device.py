"""Programs on the verilated shell: golden's bits over true AXI, at any speed of the memory, and after its faults."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from hls.spec.config import load
from hls.spec.instruction import INSTRUCTION_WORDS
from hls.spec.status import Status
from host.device import Device
from host.errors import PeelVitError
from host.model import Sparsity, parse_model
from host.runtime import Session, SessionOptions
from sim.golden.device import GoldenDevice
from sim.rtl.shell.device import ShellDevice
from sim.rtl.shell.simulation import Timing, modelled_timing
from sim.workload import random_batch, random_parameters
from tests.sim.op_cases import OP_NAMES, Case, random_case
from tests.sim.windows import first_difference

CONFIG = load("toy")
MODEL = parse_model("vit:image=15,patch=3,dim=20,depth=3,heads=2,mlp=28,classes=7")
PRUNED = Sparsity(0.7, 0.45, (2,))
FAST = Timing(1, 1, 6000)
ERRATIC = Timing(7, 3, 1500, stalls_per_thousand=300, seed=5)


@pytest.fixture(scope="module")
def device() -> Iterator[ShellDevice]:
    opened = ShellDevice(CONFIG)
    yield opened
    opened.close()


@cache
def golden() -> GoldenDevice:
    return GoldenDevice(CONFIG)


def outcome(on: Device, case: Case) -> tuple[Status, int, np.ndarray]:
    on.allocate(case.window_words)
    on.write(0, case.memory)
    result = on.run(case.program)
    return result.status, result.failed_instruction, on.read(0, case.memory.shape, np.uint8)


@pytest.mark.parametrize("op_name", OP_NAMES)
def test_every_operation_equals_golden(op_name: str, device: ShellDevice) -> None:
    for seed, timing in enumerate((modelled_timing(CONFIG), FAST, ERRATIC)):
        case = random_case(op_name, seed, CONFIG)
        device.shell.set_timing(timing)
        device.base = (0x4000_0000, 0x8_0000_0000, 0x8_7654_3210)[seed]
        expected, found = outcome(golden(), case), outcome(device, case)
        assert first_difference(case, expected[2], found[2]) is None
        assert found[:2] == expected[:2]
        assert not device.shell.schedule().hazards


def trained(on: Device) -> dict[str, np.ndarray]:
    session = Session(on, MODEL, PRUNED, SessionOptions(2))
    session.load_parameters(random_parameters(MODEL, 1))
    session.calibrate(*random_batch(MODEL, 4, 1))
    result = session.train_step(*random_batch(MODEL, 4, 2), learning_rate=0.02, weight_decay=1e-3)
    return session.state() | {"losses": result.losses}


def test_a_training_step_with_pruning_equals_golden(device: ShellDevice) -> None:
    device.base = 0x8_0000_0000
    device.shell.set_timing(modelled_timing(CONFIG))
    expected, found = trained(golden()), trained(device)
    assert not [name for name in expected if not np.array_equal(expected[name], found[name])]
    # The model's schedule is inside, the bus only adds to it; the memory here is the one that the model assumes.
    # Tasks that hand elements on through FIFOs overlap in the model and run one after the other here
    # (docs/rtl-shell.md).
    schedule = device.shell.schedule()
    measured = device.shell.read("cycles_low")
    assert schedule.modelled <= measured <= 1.5 * schedule.modelled
    assert schedule.mispredicted == 0
    assert schedule.hazards == 0


@pytest.mark.parametrize(
    "response, status", [(2, Status.BUS_SLAVE_ERROR), (3, Status.BUS_DECODE_ERROR)], ids=["SLVERR", "DECERR"]
)
@pytest.mark.parametrize("burst", [1, 5, 40, 60])
def test_an_error_response_stops_the_run_and_the_next_one_is_right(
    burst: int, response: int, status: Status, device: ShellDevice
) -> None:
    case = random_case("gemm_nn", 3, CONFIG)
    expected = outcome(golden(), case)
    device.shell.fail(burst, response)
    assert outcome(device, case)[:2] == (status, 0)
    assert np.array_equal(outcome(device, case)[2], expected[2])


def test_a_base_where_no_memory_is_ends_in_decerr(device: ShellDevice) -> None:
    case = random_case("gelu", 0, CONFIG)
    device.allocate(case.window_words)
    device.write(0, case.memory)
    assert device.shell.run(case.program, 0x1_0000)
    assert Status(device.shell.read("status")) is Status.BUS_DECODE_ERROR
    assert device.shell.breaches() == ["port 0: read: a burst leaves the memory window"]
    device.shell.reset()
    assert device.run(case.program).status is Status.OK


def test_a_memory_that_never_answers_is_ended_by_a_reset(device: ShellDevice) -> None:
    case = random_case("layernorm", 1, CONFIG)
    expected = outcome(golden(), case)
    device.most_cycles = 100_000
    device.shell.fail(8, hangs=True)
    with pytest.raises(PeelVitError, match="did not end within 100000 cycles"):
        outcome(device, case)
    device.most_cycles = 1 << 40
    assert np.array_equal(outcome(device, case)[2], expected[2])


def test_a_window_too_small_is_refused_before_anything_is_written(device: ShellDevice) -> None:
    case = random_case("gemm_nt", 2, CONFIG)
    device.allocate(case.program + INSTRUCTION_WORDS)
    device.write(0, case.memory[: 16 * (case.program + INSTRUCTION_WORDS)])
    before = device.read(0, (16 * (case.program + INSTRUCTION_WORDS),), np.uint8)
    assert device.run(case.program).status is Status.PROGRAM_OUTSIDE_WINDOW
    assert np.array_equal(device.read(0, before.shape, np.uint8), before)
