"""Accuracy of the integer functions against float64.

The maxima are those of research/numerics.md, except where docs/numerics.md defines fewer bits than were measured
there: an exponential's argument has 16 fraction bits, a root's mantissa 16 bits and so half a unit of up to 2^-16.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hls.spec.formats import scale_mantissa
from sim.golden.curves import exponential, gelu_slope, gelu_value, rsqrt
from sim.golden.fixed import store
from sim.golden.ops import FUNCTIONS

LOG2_E = round(math.log2(math.e) * 2**20)
ALL = torch.arange(-32767, 32768).short()[None]
GENERATOR = torch.Generator().manual_seed(7)


def normal(*shape: int, f: int, size: float = 1.0) -> Tensor:
    """Mantissas of a normal distribution at fraction `f`."""
    return (
        (torch.randn(*shape, generator=GENERATOR, dtype=torch.float64) * size * 2**f)
        .round()
        .clamp(-32767, 32767)
        .short()
    )


@pytest.mark.parametrize("fraction, most", [(10, 6.7e-6), (16, 6.7e-6), (24, 1.3e-5), (30, 1.3e-5)])
def test_exponential(fraction: int, most: float) -> None:
    """Above 16 fraction bits the distance is rounded as well."""
    d = torch.linspace(0, 20 * 2**fraction, 200_001, dtype=torch.float64).long()
    error = exponential(d, fraction, LOG2_E).double() * 2.0**-20 - torch.exp(-d.double() * 2.0**-fraction)
    assert error.abs().max() < most


def test_exponential_falls_and_ends_in_zero() -> None:
    e = exponential(torch.arange(0, 1 << 22, 37), 16, LOG2_E)
    assert e[0] == 1 << 20
    assert (e.diff() <= 0).all()
    assert exponential(torch.tensor([1 << 62, (1 << 63) - 1]), -20, LOG2_E).tolist() == [0, 0]


def test_rsqrt() -> None:
    exponents = torch.rand(200_000, generator=GENERATOR, dtype=torch.float64) * 62
    value = torch.cat([(2.0**exponents).long(), torch.arange(1, 5000), torch.tensor([(1 << 62) - 1, (1 << 63) - 1])])
    m, e = rsqrt(value)
    exact = value.double().rsqrt()
    assert ((m * 2.0**-16 * 2.0 ** -e.double() - exact).abs() / exact).max() < 2**-15.9


@pytest.mark.parametrize("f, most", [(11, 0.71), (12, 0.71), (13, 0.71), (15, 1.32)])
def test_gelu(f: int, most: float) -> None:
    y, _ = store(gelu_value(ALL, f), 20, f)
    exact = torch.nn.functional.gelu(ALL.double() * 2.0**-f)
    assert ((y * 2.0**-f - exact).abs() * 2**f).max() < most + 0.005


def test_gelu_slope() -> None:
    x = (ALL.double() * 2.0**-12).requires_grad_()
    (exact,) = torch.autograd.grad(torch.nn.functional.gelu(x).sum(), x)
    mantissas, _ = store(gelu_slope(ALL, 12), 16, 14)
    assert ((mantissas * 2.0**-14 - exact).abs() * 2**14).max() < 1.08


def test_softmax() -> None:
    x = normal(64, 197, f=12, size=2.0)
    y = FUNCTIONS["softmax"](x=x, scale=LOG2_E, f={"x": (12,), "y": (15,)})["y"].values
    exact = torch.softmax(x.double() * 2.0**-12, 1)
    assert ((y * 2.0**-15 - exact).abs() * 2**15).max() < 0.71
    assert (y.double().sum(1) * 2.0**-15 - 1).abs().max() < 1e-3


@pytest.mark.parametrize("n", [192, 384])
def test_layernorm(n: int) -> None:
    x, gamma, beta = normal(197, n, f=11), torch.full((1, n), 1 << 14).short(), torch.zeros(1, n).short()
    epsilon = dict(zip(("epsilon_mantissa", "epsilon_shift"), scale_mantissa(n * n * 1e-6), strict=True))
    f = {"x": (11,), "gamma": (14,), "beta": (14,), "normalised": (12,), "y": (12,)}
    normalised = FUNCTIONS["layernorm"](x=x, gamma=gamma, beta=beta, n=n, f=f, **epsilon)["saved"].values
    exact = torch.nn.functional.layer_norm(x.double() * 2.0**-11, (n,), eps=1e-6)
    assert ((normalised * 2.0**-12 - exact).abs() * 2**12).max() < 0.7
