"""The losses of the updates since the last look, kept on the device so that no update waits for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from host.errors import PeelVitError
from trainer import distributed

WAY_OUT = (
    "give a lower --lr or a --clip-grad, and with --amp also --amp-dtype bfloat16; with --resume they act from the "
    "last good checkpoint on, if one was saved"
)


def not_finite(loss: float | str, update: int) -> PeelVitError:
    """The error that ends a run; `update` counts from 1."""
    return PeelVitError(f"the loss is {loss} at step {update}; {WAY_OUT}")


@dataclass
class Losses:
    """Mean losses of updates, one after the other, computed on `device`."""

    device: torch.device
    _waiting: list[Tensor] = field(default_factory=list)

    def add(self, loss: Tensor) -> None:
        """Note an update's loss, a detached scalar."""
        self._waiting.append(loss)

    def take(self, update: int, stop: bool) -> tuple[list[float], bool]:
        """Losses since the last call, as means over the processes, and whether any of them wants to `stop`.

        `update` updates are done in all. Collective; waits for the device. Raises `PeelVitError` for a loss that is not
        finite, in all processes alike.
        """
        flag = torch.tensor(float(stop), device=self.device)
        *losses, stopped = distributed.mean(torch.stack([*self._waiting, flag]).double()).tolist()
        self._waiting.clear()
        for number, loss in enumerate(losses, update - len(losses) + 1):
            if not math.isfinite(loss):
                raise not_finite(loss, number)
        return losses, stopped > 0
