from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

from host.data.augment import RandomCropFlip
from host.data.dataset import ArrayDataset, Examples
from host.data.loader import Batches, EvalBatches
from host.data.pixels import PixelQuantiser, to_patches
from host.data.prefetch import prefetch
from host.errors import PeelVitError

COUNT = 23


class Tracked(ArrayDataset):
    """A data set that fails when the example `broken` is read."""

    broken: int | None = None

    def read(self, indices):
        if self.broken in indices.tolist():
            raise PeelVitError(f"example {self.broken} is broken")
        return super().read(indices)


@pytest.fixture
def dataset() -> Tracked:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (COUNT, 8, 8, 3), dtype=np.uint8)
    labels = generator.integers(0, 4, COUNT)
    return Tracked("random", "abcd", Examples(images, labels), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))


@pytest.fixture
def quantiser(dataset: Tracked) -> PixelQuantiser:
    return PixelQuantiser(dataset.mean, dataset.std, 12)


@pytest.fixture(autouse=True)
def no_thread_stays():
    yield
    gc.collect()
    assert [thread.name for thread in threading.enumerate() if thread.name == "prefetch"] == []


ORDER = np.random.default_rng(1).permutation(COUNT)


@pytest.mark.parametrize("batch", [1, 4, 23])
@pytest.mark.parametrize("augment", [None, RandomCropFlip(2)])
def test_batches_follow_the_order(dataset, quantiser, batch: int, augment):
    batches = list(Batches(dataset, ORDER, batch, augment, quantiser, 4, epoch=3, seed=9))
    used = COUNT // batch * batch
    assert np.concatenate([b.indices for b in batches]).tolist() == ORDER[:used].tolist()
    for indices, patches, labels in batches:
        images = dataset.read(indices)
        if augment is not None:
            images = augment(images, indices, 3, 9)
        assert patches.dtype == np.int16
        assert np.array_equal(patches, to_patches(quantiser(images), 4))
        assert np.array_equal(labels, dataset.labels[indices])


@pytest.mark.parametrize("start", [0, 1, 4, 5, 9])
def test_start_resumes_bit_for_bit(dataset, quantiser, start: int):
    def run(start: int) -> list:
        return list(Batches(dataset, ORDER, 4, RandomCropFlip(), quantiser, 2, epoch=1, seed=2, start=start))

    whole, resumed = run(0), run(start)
    assert len(resumed) == max(0, len(whole) - start)
    for expected, batch in zip(whole[start:], resumed, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(expected, batch, strict=True))


def test_length_counts_down(dataset, quantiser):
    batches = Batches(dataset, ORDER, 5, None, quantiser, 4, epoch=0, seed=0)
    assert len(batches) == 4
    next(batches)
    assert len(batches) == 3
    batches.close()


def test_too_few_examples_for_one_batch(dataset, quantiser):
    with pytest.raises(PeelVitError, match="3 examples do not fill one micro-batch of 4"):
        Batches(dataset, ORDER[:3], 4, None, quantiser, 4, epoch=0, seed=0)


def test_no_examples_give_no_batches(dataset, quantiser):
    assert list(Batches(dataset, ORDER[:0], 4, None, quantiser, 4, epoch=0, seed=0)) == []
    assert list(EvalBatches(dataset, 4, quantiser, 4, ORDER[:0])) == []


@pytest.mark.parametrize("batch", [1, 4, 23, 40])
@pytest.mark.parametrize("order", [None, ORDER[:11]])
def test_evaluation_counts_every_example_once(dataset, quantiser, batch: int, order):
    batches = list(EvalBatches(dataset, batch, quantiser, 4, order))
    assert all(b.patches.shape[0] == len(b.indices) == len(b.labels) == len(b.mask) == batch for b in batches)
    counted = np.concatenate([b.indices[b.mask] for b in batches])
    assert counted.tolist() == (np.arange(COUNT) if order is None else order).tolist()


def test_error_of_the_data_reaches_the_consumer_after_the_batches_before_it(dataset, quantiser):
    dataset.broken = int(ORDER[9])
    batches = Batches(dataset, ORDER, 4, None, quantiser, 4, epoch=0, seed=0)
    assert [next(batches).indices.tolist(), next(batches).indices.tolist()] == ORDER[:8].reshape(2, 4).tolist()
    with pytest.raises(PeelVitError, match="is broken"):
        next(batches)
    with pytest.raises(StopIteration):
        next(batches)


def test_leaving_a_loop_or_a_with_block_ends_the_thread(dataset, quantiser):
    for _ in Batches(dataset, ORDER, 2, None, quantiser, 4, epoch=0, seed=0):
        break
    with EvalBatches(dataset, 2, quantiser, 4) as batches:
        next(batches)
    assert list(batches) == []


def test_prefetch_works_ahead_by_its_depth_and_no_further():
    started: list[int] = []
    third = threading.Event()

    def source():
        for number in range(10):
            started.append(number)
            if number == 2:
                third.set()
            yield number

    stream = prefetch(source(), depth=2)
    assert next(stream) == 0
    # Taking item 0 frees one place, so items 1 and 2 are computed without being asked for, and item 3 is not.
    assert third.wait(10)
    stream.close()
    assert started == [0, 1, 2]


def test_prefetch_closes_its_source():
    closed = threading.Event()

    def source():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    stream = prefetch(source())
    next(stream)
    stream.close()
    gc.collect()
    assert closed.is_set()


def test_a_peek_takes_nothing_away(dataset, quantiser):
    with Batches(dataset, ORDER, 4, None, quantiser, 4, epoch=0, seed=0) as batches:
        seen = []
        for batch in batches:
            seen.append(batch.indices.tolist())
            following = batches.peek()
            assert following is batches.peek()
            if following is not None:
                ahead = following.indices.tolist()
            assert len(batches) == COUNT // 4 - len(seen)
    assert np.concatenate(seen).tolist() == ORDER[: COUNT // 4 * 4].tolist()
    assert seen[-1] == ahead


def test_a_peek_leaves_errors_to_their_turn(dataset, quantiser):
    dataset.broken = int(ORDER[4])
    with Batches(dataset, ORDER, 4, None, quantiser, 4, epoch=0, seed=0) as batches:
        next(batches)
        assert batches.peek() is None
        with pytest.raises(PeelVitError, match="is broken"):
            next(batches)
