"""What the training loop trains: a model on a device, or anything else with the same few calls (a float reference)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from host.backends import open_device
from host.device import Device
from host.micro_batches import Coming, nothing_coming
from host.model import Sparsity, TokenPlan, ViTConfig
from host.options import OPTIMIZERS, Options
from host.parameters import FloatArray
from host.results import EvalResult, StepResult
from host.runtime import Session, SessionOptions
from host.stored_values import stored_values

State = Mapping[str, NDArray[Any]]
_LABELS = NDArray[np.integer[Any]]


class Learner(Protocol):
    """The calls of `host.runtime.Session` that training and evaluation need."""

    def load_parameters(self, state: Mapping[str, FloatArray]) -> None:
        """Start from float arrays by timm's names."""

    def calibrate(self, patches: NDArray[np.int16], labels: _LABELS | None = None) -> None:
        """Fit the number formats to a first batch."""

    def set_sparsity(self, sparsity: Sparsity) -> None:
        """Train with these keep ratios from now on."""

    def train_step(
        self,
        patches: NDArray[np.int16],
        labels: _LABELS,
        *,
        learning_rate: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        coming: Coming = nothing_coming,
    ) -> StepResult:
        """One optimizer step; `coming` gives the arrays of the step behind it."""

    def evaluate(self, patches: NDArray[np.int16], labels: _LABELS) -> EvalResult:
        """Losses and predictions at the keep ratios of the end."""

    def export_float(self) -> dict[str, NDArray[np.float32]]:
        """The parameters by timm's names."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything needed to continue bit for bit."""

    def load_state(self, state: State) -> None:
        """Continue from `state()`."""

    def stored_values(self) -> int:
        """Fixed-point values that a training micro-batch stores at the present keep ratios: what may saturate."""

    def close(self) -> None:
        """Give everything back."""


class DeviceLearner(Session):
    """A session that knows its device and how many values a step stores."""

    def __init__(self, device: Device, model: ViTConfig, sparsity: Sparsity, options: SessionOptions) -> None:
        super().__init__(device, model, sparsity, options)
        self.device = device
        self._stored: dict[TokenPlan, int] = {}

    def stored_values(self) -> int:
        """See `Learner`."""
        if self.plan not in self._stored:
            self._stored[self.plan] = stored_values(self.layout, self.plan)
        return self._stored[self.plan]


def open_learner(options: Options, model: ViTConfig, *, training: bool = True) -> DeviceLearner:
    """A session for `model` on the device that `options` name; prints its memory plan."""
    session_options = SessionOptions(
        batch=options.batch_size,
        training=training,
        optimizer=OPTIMIZERS[options.opt],
        label_smoothing=options.smoothing,
        memory_limit=options.memory_mib << 20,
    )
    learner = DeviceLearner(open_device(options), model, options.sparsity, session_options)
    print(f"device memory of {model.name}, micro-batches of {options.batch_size}, on {options.config}:")
    print(learner.layout.memory.table(), flush=True)
    return learner
