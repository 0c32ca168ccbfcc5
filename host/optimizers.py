"""The ways to end a step: SGD with momentum or AdamW on the fabric, or AdamW on the processor cores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.adamw import AdamW
from host.errors import PeelVitError
from host.layout import Layout
from host.slots import SlotTable
from host.tensor_memory import TensorMemory
from host.weights import Weights

OPTIMIZERS: dict[str, str | None] = {"sgd": "sgd_update", "adamw": None, "adamw-fabric": "adamw_update"}
"""Names, and the op that updates weights on the fabric; None where the processor cores do."""


def check_hyperparameters(learning_rate: float, momentum: float, weight_decay: float) -> None:
    """Refuse what no optimizer can use, NaN included."""
    if not learning_rate >= 0.0:
        raise PeelVitError(f"the learning rate is {learning_rate}; give 0 or more")
    if not 0.0 <= momentum < 1.0:
        raise PeelVitError(f"the momentum is {momentum}; give a number from 0 to below 1")
    if not weight_decay >= 0.0:
        raise PeelVitError(f"the weight decay is {weight_decay}; give 0 or more")


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
