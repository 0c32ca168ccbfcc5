"""Evaluation batches: every image exactly once over all ranks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from trainer.data.dataset import TrainingDataset
from trainer.data.normalise import Normalise, scaled
from trainer.data.reading import MEMORY_LIMIT, Requests, reader


class EvalLoader:
    """(images float32 [B, C, S, S] normalised, labels int64 [B] or [B, L], mask bool [B]) for rank `rank` of `world`.

    All batches are full and every rank has as many, so that shapes stay and collectives meet; `mask` is false where
    an image only fills a batch up. Over all ranks the mask is true exactly once for each image of the data set.
    """

    def __init__(
        self,
        dataset: TrainingDataset,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
        device: torch.device | str = "cpu",
        *,
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world:
            raise ValueError(f"rank {rank} of {world} with batches of {batch_size}")
        self.device = torch.device(device)
        steps = -(-len(dataset) // (batch_size * world))
        places = np.arange(steps * world * batch_size, dtype=np.int64).reshape(steps, world, batch_size)[:, rank]
        self._requests = Requests(np.minimum(places, len(dataset) - 1))
        self._mask = torch.from_numpy(places < len(dataset)).to(self.device)
        self._labels = torch.from_numpy(dataset.labels[self._requests.indices]).to(self.device)
        self._normalise = Normalise(dataset.mean, dataset.std, self.device)
        self._reader = reader(dataset, workers, self.device, memory_limit)

    def __len__(self) -> int:
        """Batches of each rank."""
        return len(self._requests.indices)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for step, images in enumerate(self._reader.read(self._requests)):
            yield self._normalise(scaled(images)), self._labels[step], self._mask[step]

    def close(self) -> None:
        """End the decoding processes, if any."""
        self._reader.close()


def hits(logits: Tensor, labels: Tensor, k: int = 1) -> Tensor:
    """Which predictions are right, bool [B]: any of the k largest logits [B, K] is the label [B] or any of [B, L].

    Several labels are ImageNet-ReaL's; unused places hold -1, which no class is.
    """
    guesses = logits.topk(min(k, logits.shape[1]), dim=1).indices
    return (guesses[:, :, None] == labels.reshape(len(labels), 1, -1)).flatten(1).any(1)
