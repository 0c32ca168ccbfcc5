"""One update: micro-batches forward and backward, clipping, the optimizer's step, the moving average."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from trainer.data.batch import MixedBatch
from trainer.engine.ema import WeightAverage
from trainer.engine.objective import Objective, Outcome
from trainer.engine.precision import Precision
from trainer.keep import DENSE, Keep
from trainer.models.base import ImageClassifier
from trainer.models.output import ModelOutput

OnOutcome = Callable[[Outcome, MixedBatch], None]


class NotFinite(ArithmeticError):
    """A loss that is infinite or not a number; the weights are those before the update."""


@dataclass
class Updater:
    """Turns a batch into an update of the weights.

    Attributes:
        objective: gives the loss of a micro-batch; wrapped in DistributedDataParallel where there are more processes.
        model: the model inside it.
        micro_batches: parts that a batch is computed in. The gradient is the mean over the whole batch.
        clip_grad: largest norm of the gradient.
        check_first: look at the loss before the weights change, which waits for the device.
        channels_last: give the model images with channels innermost.
    """

    objective: Objective | DistributedDataParallel
    model: ImageClassifier
    optimizer: torch.optim.Optimizer
    precision: Precision
    average: WeightAverage | None = None
    teacher: ImageClassifier | None = None
    micro_batches: int = 1
    clip_grad: float | None = None
    check_first: bool = True
    channels_last: bool = False

    def __call__(self, batch: MixedBatch, keep: Keep, on_outcome: OnOutcome) -> Tensor:
        """Update the weights; the mean loss, detached. `on_outcome` is told of every micro-batch.

        Raises `NotFinite`, with `check_first`, before anything has changed.
        """
        self.optimizer.zero_grad(set_to_none=True)
        parts = list(split(batch, self.micro_batches))
        losses = [self._backward(part, keep, on_outcome, part is parts[-1]) for part in parts]
        loss = torch.stack(losses).sum()
        if self.check_first and not torch.isfinite(loss):
            raise NotFinite(str(loss.item()))
        self._step()
        return loss

    def _backward(self, part: MixedBatch, keep: Keep, on_outcome: OnOutcome, last: bool) -> Tensor:
        if self.channels_last:
            part = replace(part, images=part.images.contiguous(memory_format=torch.channels_last))
        with self._communication(last):
            with self.precision.autocast():
                teacher = None if self.teacher is None else self._taught(part)
                outcome: Outcome = self.objective(part, keep, teacher)
            loss = outcome.loss / self.micro_batches
            self.precision.scaler.scale(loss).backward()
        on_outcome(outcome, part)
        return loss.detach()

    def _communication(self, last: bool) -> AbstractContextManager[Any]:
        """Gradients travel between processes once an update, with its last micro-batch."""
        if last or not isinstance(self.objective, DistributedDataParallel):
            return nullcontext()
        return self.objective.no_sync()

    @torch.no_grad()
    def _taught(self, part: MixedBatch) -> ModelOutput:
        assert self.teacher is not None
        return self.teacher(part.images, DENSE)

    def _step(self) -> None:
        scaler = self.precision.scaler
        if self.clip_grad is not None:
            scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_grad)
        scaler.step(self.optimizer)
        scaler.update()
        if self.average is not None:
            self.average.update(self.model)


def split(batch: MixedBatch, parts: int) -> Iterator[MixedBatch]:
    """`batch` in equal parts, in order."""
    if parts == 1:
        yield batch
        return
    columns = {f.name: getattr(batch, f.name) for f in fields(batch)}
    pieces = {name: column.chunk(parts) for name, column in columns.items() if column is not None}
    for index in range(parts):
        yield replace(batch, **{name: column[index] for name, column in pieces.items()})
