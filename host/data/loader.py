"""Micro-batches in a given order, quantised and cut into patches by a background thread."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from host.data.dataset import Dataset
from host.data.pixels import PixelQuantiser, to_patches
from host.data.prefetch import prefetch
from host.errors import PeelVitError

Augment = Callable[[NDArray[np.uint8], NDArray[np.int64], int, int], NDArray[np.uint8]]
"""(images uint8 [n, H, W, C], indices [n], epoch, seed) -> images of the same shape."""


class TrainBatch(NamedTuple):
    """`indices` int64 [b], `patches` int16 [b, N, C * patch * patch], `labels` int64 [b]."""

    indices: NDArray[np.int64]
    patches: NDArray[np.int16]
    labels: NDArray[np.int64]


class EvalBatch(NamedTuple):
    """As `TrainBatch`, with `mask` bool [b]: false where the last batch repeats an example to be full."""

    indices: NDArray[np.int64]
    patches: NDArray[np.int16]
    labels: NDArray[np.int64]
    mask: NDArray[np.bool_]


AnyBatch = TypeVar("AnyBatch", TrainBatch, EvalBatch)


class _Stream(Generic[AnyBatch]):
    """An iterator over prefetched batches; `close()`, a `with` block or dropping it ends the background thread."""

    def __init__(self, batches: Iterator[AnyBatch], length: int) -> None:
        # `batches` must not refer to this object: the thread holds it, and dropping the stream has to end the thread.
        self._prefetched: Generator[AnyBatch, None, None] = prefetch(batches)
        self._remaining = length
        self._seen: AnyBatch | Exception | None = None  # by a peek, and still to come

    def __len__(self) -> int:
        """Batches still to come."""
        return self._remaining

    def __iter__(self) -> Iterator[AnyBatch]:
        return self

    def __next__(self) -> AnyBatch:
        batch, self._seen = self._seen, None
        if batch is None:
            batch = next(self._prefetched)
        if isinstance(batch, Exception):
            raise batch
        self._remaining -= 1
        return batch

    def peek(self) -> AnyBatch | None:
        """The batch that comes next, None at the end. What goes wrong with it is raised when it is its turn."""
        if self._seen is None:
            try:
                self._seen = next(self._prefetched)
            except StopIteration:
                return None
            except Exception as error:
                self._seen = error
        return None if isinstance(self._seen, Exception) else self._seen

    def close(self) -> None:
        """End the background thread; the stream is exhausted afterwards."""
        self._prefetched.close()

    def __enter__(self) -> _Stream[AnyBatch]:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Batches(_Stream[TrainBatch]):
    """Training micro-batches of `batch` examples, in the order given by the example indices `order`.

    `start` batches at the front are skipped, which is how a run resumes. The examples at the end of `order` that
    do not fill a batch are dropped: pass a multiple of `batch` to use them all. `augment` may be None.
    """

    def __init__(
        self,
        dataset: Dataset,
        order: NDArray[np.int64],
        batch: int,
        augment: Augment | None,
        quantiser: PixelQuantiser,
        patch: int,
        epoch: int,
        seed: int,
        start: int = 0,
    ) -> None:
        if 0 < len(order) < batch:
            raise PeelVitError(f"{len(order)} examples do not fill one micro-batch of {batch}; use a smaller batch")
        chosen = _whole_batches(order, batch)[start:]
        super().__init__(_train_batches(dataset, chosen, augment, quantiser, patch, epoch, seed), len(chosen))


class EvalBatches(_Stream[EvalBatch]):
    """Evaluation micro-batches over `order` (default: every example in turn), the last one filled up and masked."""

    def __init__(
        self,
        dataset: Dataset,
        batch: int,
        quantiser: PixelQuantiser,
        patch: int,
        order: NDArray[np.int64] | None = None,
    ) -> None:
        if order is None:
            order = np.arange(len(dataset), dtype=np.int64)
        missing = -len(order) % batch
        chosen = np.pad(order, (0, missing), mode="edge").reshape(-1, batch) if len(order) else order.reshape(0, batch)
        counted = (np.arange(chosen.size) < len(order)).reshape(chosen.shape)
        super().__init__(_eval_batches(dataset, chosen, counted, quantiser, patch), len(chosen))


def _whole_batches(order: NDArray[np.int64], batch: int) -> NDArray[np.int64]:
    count = len(order) // batch
    return order[: count * batch].reshape(count, batch)


def _train_batches(
    dataset: Dataset,
    chosen: NDArray[np.int64],
    augment: Augment | None,
    quantiser: PixelQuantiser,
    patch: int,
    epoch: int,
    seed: int,
) -> Iterator[TrainBatch]:
    for indices in chosen:
        images = dataset.read(indices)
        if augment is not None:
            images = augment(images, indices, epoch, seed)
        yield TrainBatch(indices, to_patches(quantiser(images), patch), dataset.labels[indices])


def _eval_batches(
    dataset: Dataset,
    chosen: NDArray[np.int64],
    counted: NDArray[np.bool_],
    quantiser: PixelQuantiser,
    patch: int,
) -> Iterator[EvalBatch]:
    for indices, mask in zip(chosen, counted, strict=True):
        patches = to_patches(quantiser(dataset.read(indices)), patch)
        yield EvalBatch(indices, patches, dataset.labels[indices], mask)
