from __future__ import annotations

import math

import numpy as np
import pytest

from hls.spec.formats import EXP_AVG_SQ_FRACTION, decode_moment
from host.errors import CheckpointError, PeelVitError
from host.fabric_optimizers import FabricAdamW, FabricSgd, fabric_optimizer

BETAS = (0.9, 0.999)


def value(mantissa, shift):
    return mantissa * 2.0**-shift


def test_the_row_of_sgd():
    row = FabricSgd().hyperparameters(0.05, 0.9, 1e-4)
    assert row.shape == (1, 8)
    assert value(*row[0, :2]) == pytest.approx(0.05, rel=2**-16)
    assert row[0, 2] == 58982
    assert value(*row[0, 3:5]) == pytest.approx(1e-4, rel=2**-16)
    assert not row[0, 5:].any()


def test_the_rows_of_adamw_hold_the_bias_corrections():
    adamw, eps = FabricAdamW(BETAS, 1e-8), 1e-8
    beta1, beta2 = 1 - 6554 / 65536, 1 - 66 / 65536
    for step in range(1, 30):
        row = adamw.hyperparameters(1e-3, 0.9, 0.05)[0]
        correction1, correction2 = 1 - beta1**step, 1 - beta2**step
        assert value(*row[:2]) == pytest.approx(1e-3 * math.sqrt(correction2) / correction1, rel=2**-15)
        assert row[2:4].tolist() == [6554, 66]
        assert value(*row[4:6]) == pytest.approx(5e-5, rel=2**-15)
        significand, exponent = decode_moment(int(row[6]))
        floor = math.ldexp(significand, exponent - EXP_AVG_SQ_FRACTION)
        assert floor == pytest.approx(eps**2 * correction2, rel=2**-10 if significand >= 1024 else 0.2)


def test_no_rate_and_no_decay_are_zeros():
    row = FabricAdamW(BETAS, 1e-8).hyperparameters(0.0, 0.9, 0.05)[0]
    assert not row[[0, 1, 4, 5]].any()


def test_adamw_continues_from_its_state():
    straight, stopped = FabricAdamW(BETAS, 1e-8), FabricAdamW(BETAS, 1e-8)
    for adamw in (straight, stopped):
        adamw.hyperparameters(1e-3, 0.9, 0.0)
    resumed = FabricAdamW(BETAS, 1e-8)
    resumed.load_state(stopped.state())
    assert np.array_equal(*(adamw.hyperparameters(1e-3, 0.9, 0.0) for adamw in (straight, resumed)))
    assert resumed.step == 2


@pytest.mark.parametrize("update", ["sgd_update", "adamw_update"])
def test_a_state_of_another_optimizer_is_refused(update):
    optimizer = fabric_optimizer(update, BETAS, 1e-8)
    optimizer.load_state(optimizer.state())
    with pytest.raises(CheckpointError, match="of another optimizer"):
        optimizer.load_state({"velocity": np.zeros(3)})


@pytest.mark.parametrize(
    "betas, sentence",
    [((0.9, 0.9999), r"beta is 0.9999; .* at most 0.9995"), ((1.0, 0.9), "beta is 1.0"), ((0.9, -0.1), "beta is -0.1")],
)
def test_betas_that_cannot_work_are_refused(betas, sentence):
    with pytest.raises(PeelVitError, match=sentence):
        FabricAdamW(betas, 1e-8)
