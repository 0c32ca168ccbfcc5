"""Bringing the pixels of chosen examples to the device: from its own memory, or through decoding processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from host.errors import PeelVitError
from trainer.data.dataset import Pixels, TrainingDataset
from trainer.data.randomness import random_state

MEMORY_LIMIT = 1024
"""MiB of pixels that may wait on the device."""
_BATCHES_AHEAD = 4
"""Batches that each decoding process works ahead."""


@dataclass(frozen=True)
class Requests:
    """Which examples are wanted: `indices` int64 [steps, B].

    To train, `seed`, `epoch` and `positions` [steps, B] (places in the epoch's order) fix each random crop; to
    evaluate they are None.
    """

    indices: NDArray[np.int64]
    positions: NDArray[np.int64] | None = None
    seed: int = 0
    epoch: int = 0


class Reader(Protocol):
    """Gives the images of each step, uint8 [B, C, S, S] on the device, in order."""

    def read(self, requests: Requests) -> Iterator[Tensor]: ...  # noqa: D102

    def close(self) -> None: ...  # noqa: D102


def reader(dataset: TrainingDataset, workers: int, device: torch.device, memory_limit: int) -> Reader:
    """All pixels on the device if they never change and fit into `memory_limit` MiB; else decoding processes."""
    size = len(dataset) * dataset.channels * dataset.image_size**2
    if dataset.fixed and size <= memory_limit << 20:
        return Resident(dataset, device)
    return Decoding(dataset, workers, device)


class Resident:
    """Every image of the data set in one tensor on the device: a step is one gather, and nothing is waited for."""

    def __init__(self, dataset: TrainingDataset, device: torch.device) -> None:
        pixels = torch.from_numpy(dataset.read(np.arange(len(dataset))))
        self._images = pixels.permute(0, 3, 1, 2).contiguous().to(device)

    def read(self, requests: Requests) -> Iterator[Tensor]:
        """See `Reader`."""
        for indices in requests.indices:
            yield self._images.index_select(0, torch.from_numpy(indices).to(self._images.device))

    def close(self) -> None:
        """Nothing to end."""


class _Request(NamedTuple):
    """One picture: `words` (seed, epoch, position) fix its random crop; none: the centre."""

    example: int
    words: tuple[int, int, int] | None


class _Pictures(TorchDataset[Pixels | PeelVitError]):
    """What a decoding process does. Errors are returned: raised ones would come wrapped in that process's traceback."""

    def __init__(self, dataset: TrainingDataset) -> None:
        self._dataset = dataset

    def __getitem__(self, request: _Request) -> Pixels | PeelVitError:
        try:
            if request.words is None:
                return self._dataset.read(np.array([request.example]))[0]
            return self._dataset.read_random(request.example, random_state(*request.words))
        except PeelVitError as error:
            return PeelVitError(str(error))


class Decoding:
    """Pictures decoded and cut by `workers` lasting processes (0: here) that work ahead of the consumer.

    What a picture looks like depends on the request alone, so the number of processes changes nothing but speed.
    """

    def __init__(self, dataset: TrainingDataset, workers: int, device: torch.device) -> None:
        self._device = device
        self._requests = _Batches()
        self._loader = DataLoader(
            _Pictures(dataset),
            batch_sampler=self._requests,
            num_workers=workers,
            collate_fn=_collated,
            persistent_workers=workers > 0,
            prefetch_factor=_BATCHES_AHEAD if workers else None,
            pin_memory=device.type == "cuda",
        )

    def read(self, requests: Requests) -> Iterator[Tensor]:
        """See `Reader`; a picture that cannot be read and a process that died each raise a sentence."""
        self._requests.requests = requests
        try:
            for pixels in self._loader:
                if isinstance(pixels, PeelVitError):
                    raise pixels
                yield pixels.to(self._device, non_blocking=True).permute(0, 3, 1, 2).contiguous()
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise PeelVitError(
                "a data-loading process died, most often for lack of memory; use fewer --workers or a larger /dev/shm "
                "and start again with --resume"
            ) from error

    def close(self) -> None:
        """End the processes."""
        self._loader._iterator = None  # the way in which DataLoader itself lets go of lasting processes


class _Batches:
    """Lists of requests, a step each, for the DataLoader's processes."""

    def __init__(self) -> None:
        self.requests = Requests(np.empty((0, 0), np.int64))

    def __len__(self) -> int:
        return len(self.requests.indices)

    def __iter__(self) -> Iterator[list[_Request]]:
        return _steps(self.requests)


def _steps(requests: Requests) -> Iterator[list[_Request]]:
    for step, indices in enumerate(requests.indices):
        if requests.positions is None:
            yield [_Request(int(index), None) for index in indices]
        else:
            places = requests.positions[step]
            yield [
                _Request(int(index), (requests.seed, requests.epoch, int(place)))
                for index, place in zip(indices, places, strict=True)
            ]


def _collated(pixels: list[Pixels | PeelVitError]) -> Tensor | PeelVitError:
    """One uint8 [B, S, S, C], or the first error."""
    error = next((item for item in pixels if isinstance(item, PeelVitError)), None)
    return error or torch.from_numpy(np.stack(pixels))  # type: ignore[arg-type]
