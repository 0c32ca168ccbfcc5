"""A moving average of the weights, as timm's `ModelEmaV3` keeps it, on torch's own `AveragedModel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

WARMUP_POWER = 2 / 3
"""Of timm's warm-up of the decay, 1 - (1 + update)**-power."""


class WeightAverage:
    """The weights after the first update, then average = decay * average + (1 - decay) * weights after each.

    With `warmup` the decay grows to `decay` over the first updates, so that a short run does not remember its random
    start. Buffers are averaged too, those of whole numbers copied.
    """

    def __init__(self, model: nn.Module, decay: float, *, warmup: bool = False) -> None:
        self.decay, self.warmup, self.updates = decay, warmup, 0
        self._averaged = AveragedModel(model, multi_avg_fn=self._average, use_buffers=True)

    @property
    def model(self) -> nn.Module:
        """The model with the averaged weights."""
        return self._averaged.module

    def update(self, model: nn.Module) -> None:
        """Take in the weights after an update."""
        self._averaged.update_parameters(model)
        self.updates += 1

    def decay_of(self, update: int) -> float:
        """The decay for update number `update`, from 0."""
        if not update:
            return 0.0
        return min(self.decay, 1.0 - (1.0 + update) ** -WARMUP_POWER) if self.warmup else self.decay

    def _average(self, average: Any, weights: Any, _: Tensor | int) -> None:
        if average[0].is_floating_point():
            get_ema_multi_avg_fn(self.decay_of(self.updates))(average, weights, 0)
        else:
            for one, other in zip(average, weights, strict=True):
                one.copy_(other)

    def state_dict(self) -> dict[str, Any]:
        """Averaged weights and the number of updates."""
        return {"model": self.model.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict()`."""
        self.model.load_state_dict(state["model"])
        self.updates = state["updates"]
        self._averaged.n_averaged.fill_(self.updates)
