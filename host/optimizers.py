"""The two ways to end a step: SGD with momentum on the fabric, or AdamW on the processor cores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls.spec.formats import LANES, scale_mantissa
from host.adamw import AdamW
from host.errors import PeelVitError
from host.layout import Layout
from host.slots import SlotTable
from host.tensor_memory import TensorMemory
from host.weights import Weights

OPTIMIZERS = ("sgd", "adamw")

_MAX_SHIFT = 64
_MOMENTUM_BITS = 16


def check_hyperparameters(learning_rate: float, momentum: float, weight_decay: float) -> None:
    """Refuse what no optimizer can use, NaN included."""
    if not learning_rate >= 0.0:
        raise PeelVitError(f"the learning rate is {learning_rate}; give 0 or more")
    if not 0.0 <= momentum < 1.0:
        raise PeelVitError(f"the momentum is {momentum}; give a number from 0 to below 1")
    if not weight_decay >= 0.0:
        raise PeelVitError(f"the weight decay is {weight_decay}; give 0 or more")


def sgd_hyperparameters(learning_rate: float, momentum: float, weight_decay: float) -> NDArray[np.int32]:
    """The int32 row [1, 8] that `sgd_update` reads: mantissa and shift of the rate, momentum, those of the decay."""
    row = np.zeros((1, LANES), np.int32)
    row[0, :5] = (*_scale(learning_rate), round(momentum * 2**_MOMENTUM_BITS), *_scale(weight_decay))
    return row


def _scale(value: float) -> tuple[int, int]:
    """(mantissa, shift) of `value`; zeros for what is too small to be told from zero."""
    if value == 0.0:
        return 0, 0
    mantissa, shift = scale_mantissa(value)
    return (mantissa, shift) if shift <= _MAX_SHIFT else (0, 0)


class HostAdamW:
    """AdamW over the device's parameters: gradients are read, master and 16-bit weights written."""

    def __init__(
        self, memory: TensorMemory, weights: Weights, layout: Layout, betas: tuple[float, float], eps: float
    ) -> None:
        self._memory, self._weights, self._layout = memory, weights, layout
        parameters = weights.parameters
        self._adamw = AdamW(
            {p.name: (p.rows, p.columns) for p in parameters},
            betas=betas,
            eps=eps,
            no_decay=[p.name for p in parameters if not p.decays],
        )

    def step(self, table: SlotTable, images: int, learning_rate: float, weight_decay: float) -> None:
        """Update every parameter from gradients summed over `images` images; fractions and peaks go to `table`."""
        self._adamw.weight_decay = weight_decay
        self._adamw.begin_step(learning_rate)
        for parameter in self._weights.parameters:
            name = parameter.name
            fraction = int(table["f"][self._layout.slot(f"grad.{name}")])
            mantissas = self._memory.read(f"grad.{name}").astype(np.float64)
            gradient = np.ascontiguousarray(np.ldexp(mantissas, -fraction) / images, np.float32)
            weight = np.ascontiguousarray(self._weights.matrix(name, table), np.float32)
            self._adamw.update(name, gradient, weight)
            self._weights.store_matrix(name, weight, table)

    def state(self) -> dict[str, NDArray[Any]]:
        """Step count and moments."""
        return self._adamw.state()

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `state` gave."""
        self._adamw.load_state(state)
