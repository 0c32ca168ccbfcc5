"""AdamW: bit for bit against scalars, close to torch, and the same however it is cut or resumed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.adamw import CHUNK, AdamW, check_subnormals
from host.errors import CheckpointError, PeelVitError

F = np.float32


class ScalarAdamW:
    """The documented formula on one element, every operation a separate np.float32 operation."""

    def __init__(self, betas: tuple[float, float], eps: float, decay: float) -> None:
        self.betas, self.eps, self.decay = betas, eps, decay
        self.m = self.v = F(0)
        self.powers = [1.0, 1.0]

    def step(self, g: np.float32, w: np.float32, rate: float) -> np.float32:
        beta1, beta2 = self.betas
        self.powers = [self.powers[0] * beta1, self.powers[1] * beta2]
        w = w * F(1.0 - rate * self.decay)
        self.m = self.m * F(beta1)
        self.m = self.m + g * F(1.0 - beta1)
        self.v = self.v * F(beta2)
        self.v = self.v + (g * g) * F(1.0 - beta2)
        d = np.sqrt(self.v) / F(math.sqrt(1.0 - self.powers[1]))
        d = d + F(self.eps)
        return w - (self.m / d) * F(rate / (1.0 - self.powers[0]))


floats = st.floats(-(2.0**20), 2.0**20, width=32)  # subnormals included


@settings(deadline=None)
@given(
    weights=st.lists(floats, min_size=1, max_size=20),
    betas=st.tuples(st.floats(0, 0.9375), st.floats(0.5, 0.9990234375)),
    eps=st.sampled_from([1e-8, 1e-6, 1e-12]),
    decay=st.floats(0, 0.5),
    rates=st.lists(st.floats(0, 0.1), min_size=1, max_size=5),
    data=st.data(),
)
def test_equal_to_scalars_bit_for_bit(
    weights: list[float],
    betas: tuple[float, float],
    eps: float,
    decay: float,
    rates: list[float],
    data: st.DataObject,
) -> None:
    weight = np.array(weights, F)
    plain = weight.copy()
    optimizer = AdamW({"w": weight.shape}, betas=betas, eps=eps, weight_decay=decay)
    scalars = [ScalarAdamW(betas, eps, decay) for _ in weights]
    for rate in rates:
        gradient = np.array(data.draw(st.lists(floats, min_size=len(weights), max_size=len(weights))), F)
        optimizer.begin_step(rate)
        optimizer.update("w", gradient, weight)
        plain = np.array([s.step(g, w, rate) for s, g, w in zip(scalars, gradient, plain, strict=True)], F)
        assert weight.tobytes() == plain.tobytes()
    assert optimizer.exp_avg["w"].tobytes() == np.array([s.m for s in scalars], F).tobytes()
    assert optimizer.exp_avg_sq["w"].tobytes() == np.array([s.v for s in scalars], F).tobytes()


@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_close_to_torch(weight_decay: float) -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(3)
    shapes = {"matrix": (33, 17), "bias": (17,)}
    weights = {name: random.standard_normal(shape).astype(F) for name, shape in shapes.items()}
    theirs = {name: torch.nn.Parameter(torch.from_numpy(weight.copy())) for name, weight in weights.items()}
    groups = [
        {"params": [theirs["matrix"]], "weight_decay": weight_decay},
        {"params": [theirs["bias"]], "weight_decay": 0.0},
    ]
    reference = torch.optim.AdamW(groups, lr=1e-3, foreach=False)
    ours = AdamW(shapes, weight_decay=weight_decay, no_decay={"bias"})
    for step in range(50):
        ours.begin_step(1e-3)
        for name, shape in shapes.items():
            gradient = (random.standard_normal(shape) * 10.0 ** (step % 5 - 4)).astype(F)
            theirs[name].grad = torch.from_numpy(gradient.copy())
            ours.update(name, gradient, weights[name])
        reference.step()
    for name, parameter in theirs.items():
        np.testing.assert_allclose(weights[name], parameter.detach().numpy(), rtol=2e-6, atol=2e-7)


def train(optimizer: AdamW, weight: np.ndarray, steps: range) -> None:
    for step in steps:
        optimizer.begin_step(1e-3 * (step + 1))
        optimizer.update("w", np.random.default_rng(step).standard_normal(weight.shape).astype(F), weight)


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, 2 * CHUNK + 13])
def test_chunks_leave_no_trace(size: int) -> None:
    weight = np.random.default_rng(9).standard_normal(size).astype(F)
    halves = [weight[: size // 3].copy(), weight[size // 3 :].copy()]
    whole = AdamW({"w": (size,)}, weight_decay=0.1)
    parts = AdamW({"a": halves[0].shape, "b": halves[1].shape}, weight_decay=0.1)
    for step in range(3):
        gradient = np.random.default_rng(step).standard_normal(size).astype(F)
        before = gradient.copy()
        whole.begin_step(0.01)
        whole.update("w", gradient, weight)
        assert np.array_equal(gradient, before)
        parts.begin_step(0.01)
        parts.update("a", gradient[: size // 3], halves[0])
        parts.update("b", gradient[size // 3 :], halves[1])
    assert weight.tobytes() == np.concatenate(halves).tobytes()


def test_resume_is_exact() -> None:
    weight = np.linspace(-1, 1, 35, dtype=F).reshape(5, 7)
    undisturbed, straight = AdamW({"w": (5, 7)}), weight.copy()
    train(undisturbed, straight, range(10))
    first, resumed = AdamW({"w": (5, 7)}), AdamW({"w": (5, 7)})
    train(first, weight, range(5))
    state = first.state()
    train(first, weight.copy(), range(5, 7))  # the state is a copy
    resumed.load_state(state)
    train(resumed, weight, range(5, 10))
    assert weight.tobytes() == straight.tobytes()
    assert {k: v.tobytes() for k, v in resumed.state().items()} == {
        k: v.tobytes() for k, v in undisturbed.state().items()
    }


def test_subnormals_survive() -> None:
    check_subnormals()
    weight = np.zeros(100, F)
    optimizer = AdamW({"w": (100,)})
    optimizer.begin_step(1e-3)
    optimizer.update("w", np.full(100, 2.0**-66, F), weight)
    assert np.all(optimizer.exp_avg_sq["w"] > 0)
    assert np.all(optimizer.exp_avg_sq["w"] < np.finfo(F).tiny)


def test_flush_to_zero_is_refused() -> None:
    torch = pytest.importorskip("torch")
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush subnormal numbers")
    try:
        with pytest.raises(PeelVitError, match="flushes subnormal numbers"):
            AdamW({"w": (1,)})
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"betas": (1.0, 0.9)}, "beta is 1.0"),
        ({"eps": 0.0}, "eps is 0.0"),
        ({"weight_decay": -1.0}, "weight decay is -1.0"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(arguments: dict, match: str) -> None:
    with pytest.raises(PeelVitError, match=match):
        AdamW({}, **arguments)


def test_misuse_is_a_value_error() -> None:
    optimizer = AdamW({"w": (2, 3)})
    good = np.zeros((2, 3), F)
    with pytest.raises(ValueError, match="begin_step"):
        optimizer.update("w", good, good.copy())
    optimizer.begin_step(0.1)
    for bad in (good.astype(np.float64), good.T.copy(), np.asfortranarray(good)):
        with pytest.raises(ValueError, match="C-contiguous float32"):
            optimizer.update("w", bad, good)
        with pytest.raises(ValueError, match="C-contiguous float32"):
            optimizer.update("w", good, bad)


@pytest.mark.parametrize("shapes", [{"w": (3, 2)}, {"x": (2, 3)}, {"w": (2, 3), "x": (1,)}, {}])
def test_state_of_another_model_is_refused(shapes: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(CheckpointError, match="does not fit this model"):
        AdamW({"w": (2, 3)}).load_state(AdamW(shapes).state())
