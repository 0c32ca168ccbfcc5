"""An epoch is a function of plan, seed and epoch: ranks, processes and resumes change nothing."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from host.errors import PeelVitError
from trainer.data.datasets import open_dataset
from trainer.data.loader import TrainLoader
from trainer.data.reading import Decoding, Resident

# Python 3.12 warns of fork beside threads, which is how torch starts its data-loading processes.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

shapes = st.fixed_dictionaries(
    {
        "n": st.integers(1, 60),
        "batch": st.integers(1, 4),
        "world": st.integers(1, 4),
        "repeats": st.integers(1, 3),
        "epoch": st.integers(0, 3),
        "fixed": st.booleans(),
    }
).filter(lambda shape: shape["n"] >= shape["batch"] * shape["world"])


def _order(n: int) -> np.ndarray:
    return np.random.RandomState(n).permutation(n).astype(np.int64)


def _global_batches(toy_set, plan, shape, world, start_step=0):
    """Images, labels, indices and weights of every step, ranks joined in order."""
    batch = shape["batch"] * shape["world"] // world
    ranks = [
        list(
            TrainLoader(
                toy_set(shape["n"], shape["fixed"]), batch, rank, world, seed=3, repeats=shape["repeats"]
            ).epoch(plan, shape["epoch"], start_step)
        )
        for rank in range(world)
    ]
    return [
        tuple(torch.cat([getattr(part, name) for part in parts]) for name in ("images", "labels", "indices", "weights"))
        for parts in zip(*ranks, strict=True)
    ]


def _same(first, second) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a, b) for one, other in zip(first, second, strict=True) for a, b in zip(one, other, strict=True)
    )


@settings(max_examples=40)
@given(shapes)
def test_ranks_share_the_batch_of_one_process(toy_set, toy_plan, shape):
    plan = toy_plan(_order(shape["n"]), np.arange(shape["n"], dtype=np.float32))
    alone = _global_batches(toy_set, plan, shape, 1)
    assert _same(alone, _global_batches(toy_set, plan, shape, shape["world"]))


@settings(max_examples=40)
@given(shapes, st.data())
def test_resume_gives_the_same_remainder(toy_set, toy_plan, shape, data):
    plan = toy_plan(_order(shape["n"]), np.ones(shape["n"], np.float32))
    whole = _global_batches(toy_set, plan, shape, 1)
    start = data.draw(st.integers(0, len(whole)))
    assert _same(whole[start:], _global_batches(toy_set, plan, shape, 1, start))


@settings(max_examples=40)
@given(shapes)
def test_every_example_of_the_order_once_but_for_the_incomplete_batch(toy_set, toy_plan, shape):
    shape = shape | {"repeats": 1}
    order = _order(shape["n"])
    seen = torch.cat([batch[2] for batch in _global_batches(toy_set, toy_plan(order, order * 1.0), shape, 1)])
    whole = len(order) // (shape["batch"] * shape["world"]) * shape["batch"] * shape["world"]
    assert seen.tolist() == order[:whole].tolist()


@settings(max_examples=40)
@given(shapes)
def test_repeats_present_each_example_so_often_in_an_epoch_of_the_same_length(toy_set, toy_plan, shape):
    order = _order(shape["n"])
    plan = toy_plan(order, order.astype(np.float32))
    batches = _global_batches(toy_set, plan, shape, 1)
    seen = torch.cat([batch[2] for batch in batches]).tolist()
    assert len(seen) == len(order) // (shape["batch"] * shape["world"]) * shape["batch"] * shape["world"]
    counts = Counter(seen)
    whole, rest = divmod(len(seen), shape["repeats"])
    assert all(counts[index] == shape["repeats"] for index in order[:whole].tolist())
    assert counts.get(int(order[min(whole, len(order) - 1)]), 0) in (rest, shape["repeats"])
    weights = torch.cat([batch[3] for batch in batches])
    assert weights.tolist() == [float(index) for index in seen]


def test_repeats_are_cut_anew_each_time(toy_set, toy_plan):
    loader = TrainLoader(toy_set(8, fixed=False), 4, repeats=2)
    images = next(iter(loader.epoch(toy_plan(_order(8)), 0))).images
    assert not torch.equal(images[0], images[1])


def test_labels_and_images_belong_to_the_indices(toy_set, toy_plan):
    for batch in TrainLoader(toy_set(20), 4).epoch(toy_plan(_order(20)), 0):
        assert batch.images.dtype == torch.uint8
        assert batch.images.shape == (4, 1, 2, 2)
        assert torch.equal(batch.images[:, 0, 0, 0].long(), batch.indices)
        assert torch.equal(batch.labels, batch.indices % 3)
        assert batch.weights is None


def test_seed_and_epoch_change_random_crops(toy_set, toy_plan):
    def first(seed: int, epoch: int) -> torch.Tensor:
        loader = TrainLoader(toy_set(8, fixed=False), 4, seed=seed)
        return next(iter(loader.epoch(toy_plan(_order(8)), epoch))).images

    assert torch.equal(first(1, 1), first(1, 1))
    assert not torch.equal(first(1, 1), first(1, 2))
    assert not torch.equal(first(1, 1), first(2, 1))


@pytest.mark.parametrize("workers", [1, 2])
def test_worker_count_changes_no_pixel_and_processes_last_over_epochs(picture_folder, toy_plan, workers):
    dataset = open_dataset(str(picture_folder), "train", 8)
    plan = toy_plan(_order(8))
    here, there = (TrainLoader(dataset, 2, workers=number, seed=5) for number in (0, workers))
    for epoch, start in ((0, 0), (1, 2), (2, 0)):
        pairs = list(zip(here.epoch(plan, epoch, start), there.epoch(plan, epoch, start), strict=True))
        assert len(pairs) == 4 - start
        assert all(torch.equal(one.images, other.images) for one, other in pairs)
    there.close()


def test_an_epoch_left_early_does_not_disturb_the_next(picture_folder, toy_plan):
    loader = TrainLoader(open_dataset(str(picture_folder), "train", 8), 2, workers=1)
    plan = toy_plan(_order(8))
    expected = next(iter(loader.epoch(plan, 1)))
    for _ in loader.epoch(plan, 0):
        break
    assert torch.equal(next(iter(loader.epoch(plan, 1))).images, expected.images)
    loader.close()


def test_a_damaged_picture_is_named_in_one_sentence(picture_folder, toy_plan):
    damaged = picture_folder / "train" / "cat" / "2.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    for workers in (0, 1):
        loader = TrainLoader(open_dataset(str(picture_folder), "train", 8), 8, workers=workers)
        with pytest.raises(
            PeelVitError, match=r"2\.png cannot be read as a picture \(.*\); replace or remove"
        ) as error:
            list(loader.epoch(toy_plan(_order(8)), 0))
        assert "\n" not in str(error.value)
        loader.close()


def test_a_file_that_is_no_picture_is_named_in_one_sentence(picture_folder, toy_plan):
    (picture_folder / "train" / "cat" / "2.png").write_text("no picture")
    loader = TrainLoader(open_dataset(str(picture_folder), "train", 8), 8)
    with pytest.raises(PeelVitError, match=r"2\.png is not a picture of a known format; remove it$"):
        list(loader.epoch(toy_plan(_order(8)), 0))


class _Deadly:
    """Ends the process that reads it, as the kernel does when memory runs out."""

    def __new__(cls, toy_set):
        import os
        import signal

        class Set(toy_set):
            def read_random(self, index, random):
                os.kill(os.getpid(), signal.SIGKILL)

        return Set(8, fixed=False)


def test_a_dead_worker_is_one_sentence(toy_set, toy_plan):
    loader = TrainLoader(_Deadly(toy_set), 4, workers=1)
    with pytest.raises(PeelVitError, match="a data-loading process died"):
        list(loader.epoch(toy_plan(_order(8)), 0))
    loader.close()


def test_small_fixed_sets_wait_on_the_device_and_larger_ones_are_read_as_needed(toy_set, toy_plan):
    resident = TrainLoader(toy_set(50), 4)
    decoding = TrainLoader(toy_set(50, fixed=False), 4)
    limited = TrainLoader(toy_set(50), 4, memory_limit=0)
    assert [type(loader._reader) for loader in (resident, decoding, limited)] == [Resident, Decoding, Decoding]


def test_waiting_is_counted(toy_set, toy_plan):
    loader = TrainLoader(toy_set(8), 4)
    assert loader.waited == 0
    list(loader.epoch(toy_plan(_order(8)), 0))
    assert loader.waited > 0


def test_a_plan_smaller_than_a_batch_is_one_sentence(toy_set, toy_plan):
    with pytest.raises(PeelVitError, match="3 training examples do not fill one batch of 4 on 2 processes"):
        TrainLoader(toy_set(8), 4, 0, 2).steps(toy_plan(_order(3)))


def test_impossible_settings_are_one_sentence(toy_set):
    with pytest.raises(PeelVitError, match="a batch of 0"):
        TrainLoader(toy_set(8), 0)
