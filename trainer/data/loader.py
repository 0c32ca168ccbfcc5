"""The training batches of one rank, in an order that is the same for any number of ranks, processes and resumes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from host.errors import PeelVitError
from trainer.data.batch import Batch
from trainer.data.dataset import TrainingDataset
from trainer.data.reading import MEMORY_LIMIT, Requests, reader


class Plan(Protocol):
    """An epoch's presentations, as `trainer.examples` plans them: `order` int64 [m], `weights` float32 [m] or None."""

    @property
    def order(self) -> NDArray[np.int64]: ...  # noqa: D102

    @property
    def weights(self) -> NDArray[np.float32] | None: ...  # noqa: D102


class TrainLoader:
    """Batches of `batch_size` examples for rank `rank` of `world`.

    The global batch of step s is presentations s*G to (s+1)*G of the epoch, G = batch_size * world, and rank r takes
    the r-th part of it: one process with the same global batch sees the same examples in the same step. An incomplete
    global batch at the end is dropped. With `repeats` > 1 the first m / repeats examples of the order of m are each
    presented `repeats` times in a row, every time cut and augmented anew (repeated augmentation, Hoffer et al., 2020):
    the epoch keeps its length, as with DeiT's RASampler, which deals the copies out to different ranks instead.

    `waited` counts the seconds for which the consumer waited for batches.
    """

    def __init__(
        self,
        dataset: TrainingDataset,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
        device: torch.device | str = "cpu",
        seed: int = 0,
        repeats: int = 1,
        *,
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        if batch_size < 1 or repeats < 1 or workers < 0:
            raise PeelVitError(
                f"a batch of {batch_size} with {repeats} repeats and {workers} workers is not possible; use 1 or more, "
                "and 0 or more workers"
            )
        if not 0 <= rank < world:
            raise ValueError(f"rank {rank} of {world}")
        self.dataset = dataset
        self.batch_size = batch_size
        self.rank = rank
        self.world = world
        self.seed = seed
        self.repeats = repeats
        self.device = torch.device(device)
        self.waited = 0.0
        self._labels = torch.from_numpy(dataset.labels).to(self.device)
        self._reader = reader(dataset, workers, self.device, memory_limit)

    def steps(self, plan: Plan) -> int:
        """Steps of an epoch; a sentence when the plan does not fill one."""
        steps = len(plan.order) // (self.batch_size * self.world)
        if not steps:
            raise PeelVitError(
                f"{len(plan.order)} training examples do not fill one batch of {self.batch_size} on {self.world} "
                "processes; use a smaller --batch-size"
            )
        return steps

    def epoch(self, plan: Plan, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """The batches of `epoch` from step `start_step` on: the same ones whether or not earlier steps ran here."""
        places = self._places(self.steps(plan))[start_step:]
        presented = places // self.repeats
        requests = Requests(plan.order[presented], places, self.seed, epoch)
        weights = None if plan.weights is None else torch.from_numpy(plan.weights[presented]).to(self.device)
        images = self._reader.read(requests)
        for step, indices in enumerate(requests.indices):
            start = time.perf_counter()
            pixels = next(images)
            chosen = torch.from_numpy(indices).to(self.device)
            batch = Batch(pixels, self._labels[chosen], chosen, None if weights is None else weights[step])
            self.waited += time.perf_counter() - start
            yield batch

    def close(self) -> None:
        """End the decoding processes, if any."""
        self._reader.close()

    def _places(self, steps: int) -> NDArray[np.int64]:
        """This rank's places in the epoch's presentations, [steps, B]."""
        places = np.arange(steps * self.world * self.batch_size, dtype=np.int64)
        return places.reshape(steps, self.world, self.batch_size)[:, self.rank]
