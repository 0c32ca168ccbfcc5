"""AdamW on the fabric against float64 AdamW on the same random gradients: how far its steps are off.

Elements have scales spread over many powers of two, as the gradients of one weight matrix have; the fraction of the
int32 gradients follows their largest magnitude, as on the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hls.spec.formats import MASTER_SHIFT
from hls.spec.slots import EMPTY
from host.fabric_optimizers import FabricAdamW
from sim.golden.master import Renewal, halves, master_of
from sim.golden.ops.adamw_update import adamw_update
from sim.golden.slots import Slot

KINDS = ("gaussian", "heavy tails", "one in ten", "vanishing")
BETAS, EPS, RATE, DECAY = (0.9, 0.999), 1e-8, 1e-3, 0.05
MEASURED_EVERY = 10
_WEIGHT_FRACTION, _GRADIENT_BITS = 14, 29

Array = NDArray[np.float64]


@dataclass(frozen=True)
class StepErrors:
    """Relative errors of a run, each a norm over all elements.

    Attributes:
        step: of the change of the weights in one step, without decay, averaged over the steps measured.
        weights: of the whole way that the weights went.
    """

    kind: str
    steps: int
    step: float
    weights: float


def gradients(kind: str, steps: int, elements: int, seed: int) -> Iterator[Array]:
    """`steps` gradients [elements] of a kind of `KINDS`."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    scales = 2.0 ** rng.normal(-12, 3, elements)
    means = rng.normal(0, 0.3, elements)
    for step in range(steps):
        noise = rng.standard_t(3, elements) if kind == "heavy tails" else rng.normal(size=elements)
        gradient = scales * (means + noise)
        if kind == "one in ten":
            gradient *= rng.random(elements) < 0.1
        yield gradient * 2.0 ** (-8 * step / steps) if kind == "vanishing" else gradient


class _FloatAdamW:
    """float64, eps and betas as asked for."""

    def __init__(self, weights: Array) -> None:
        self.weights = weights.copy()
        self._first, self._second, self._step = np.zeros_like(weights), np.zeros_like(weights), 0

    def update(self, gradient: Array) -> None:
        beta1, beta2 = BETAS
        self._step += 1
        self._first = beta1 * self._first + (1 - beta1) * gradient
        self._second = beta2 * self._second + (1 - beta2) * gradient**2
        root = np.sqrt(self._second / (1 - beta2**self._step)) + EPS
        self.weights = self.weights * (1 - RATE * DECAY) - RATE * self._first / (1 - beta1**self._step) / root


class _FabricAdamW:
    """The golden model's op."""

    def __init__(self, weights: Array) -> None:
        master = torch.from_numpy(np.rint(np.ldexp(weights, _WEIGHT_FRACTION + MASTER_SHIFT))).long()[None]
        self._slot = Slot(f=_WEIGHT_FRACTION)
        self._host = FabricAdamW(BETAS, EPS)
        self._take(halves(master, torch.zeros_like(master), Renewal(_WEIGHT_FRACTION, EMPTY, 0)))

    @property
    def weights(self) -> Array:
        return np.ldexp(master_of(self._weight, self._state)[0].double().numpy(), -self._slot.f - MASTER_SHIFT)

    def update(self, gradient: Array) -> None:
        fraction = _GRADIENT_BITS - int(np.frexp(np.abs(gradient).max())[1])
        results: dict[str, Any] = adamw_update(
            state=self._state,
            weight=self._weight,
            gradient=torch.from_numpy(np.rint(np.ldexp(gradient, fraction))).int()[None],
            hyperparameters=torch.from_numpy(self._host.hyperparameters(RATE, 0.0, DECAY)),
            average_shift=0,
            flags=frozenset({"DECAY"}),
            slots={"weight": (self._slot,), "gradient": (Slot(f=fraction),)},
        )
        self._take(results)

    def _take(self, results: dict[str, Any]) -> None:
        self._state, self._weight = results["state"].values, results["weight"].values
        (change,) = results["weight"].slots
        self._slot = change.applied_to(self._slot)


def step_errors(kind: str, steps: int, elements: int, seed: int) -> StepErrors:
    """Both optimizers over the same gradients, from the same weights."""
    start = np.random.default_rng(seed).normal(0, 0.1, elements)
    wanted, computed = _FloatAdamW(start), _FabricAdamW(start)
    errors = []
    for index, gradient in enumerate(gradients(kind, steps, elements, seed)):
        before = wanted.weights, computed.weights
        wanted.update(gradient)
        computed.update(gradient)
        if (index + 1) % MEASURED_EVERY == 0:
            step, other = wanted.weights - before[0], computed.weights - before[1]
            errors.append(np.linalg.norm(other - step) / np.linalg.norm(step))
    way = np.linalg.norm(wanted.weights - start)
    return StepErrors(
        kind, steps, float(np.mean(errors)), float(np.linalg.norm(computed.weights - wanted.weights) / way)
    )
