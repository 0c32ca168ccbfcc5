"""Micro-batches in two places: what is announced is written once, beside the step before, and changes no bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hls.spec.config import load
from host.devices.csim import CsimDevice
from host.errors import PeelVitError
from host.initialisation import initial_parameters
from host.micro_batches import MicroBatch, MicroBatches, Steps
from host.model import Sparsity, ViTConfig
from host.runtime import Session, SessionOptions

TOY = load("toy")
MODEL = ViTConfig("small", 8, 4, 1, 16, 2, 2, 32, 5)
BATCH = 2


def images(count: int, seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    patches = random.integers(-8192, 8192, (count, MODEL.patches, MODEL.patch_features), dtype=np.int16)
    return patches, random.integers(0, MODEL.classes, count)


DENSE = Sparsity()


def session(sparsity: Sparsity = DENSE) -> Session:
    made = Session(CsimDevice(TOY), MODEL, sparsity, SessionOptions(BATCH))
    made.load_parameters(initial_parameters(MODEL, 1))
    made.calibrate(*images(BATCH))
    return made


class Memory:
    """Remembers what was written where."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def write(self, name: str, values: Any) -> None:
        self.names.append(name)


@pytest.fixture
def placed() -> tuple[MicroBatches, list[str]]:
    memory = Memory()
    return MicroBatches(memory, session().layout), memory.names  # type: ignore[arg-type]


def test_micro_batches_take_turns_and_are_written_once(placed: tuple[MicroBatches, list[str]]) -> None:
    inputs, written = placed
    first, second, third = (MicroBatch(*images(BATCH, seed)) for seed in range(3))
    assert [inputs.place(batch) for batch in (first, first, second, second, third)] == [1, 1, 0, 0, 1]
    assert written == ["next.patches", "next.labels", "patches", "labels", "next.patches", "next.labels"]


def test_what_another_run_writes_over_is_written_again(placed: tuple[MicroBatches, list[str]]) -> None:
    inputs, written = placed
    first, second = (MicroBatch(*images(BATCH, seed)) for seed in range(2))
    inputs.place(first)
    inputs.place(second)
    inputs.write_patches(images(BATCH)[0])
    written.clear()
    inputs.place(second)
    assert len(written) == 2


def test_a_refused_micro_batch_counts_as_absent(placed: tuple[MicroBatches, list[str]]) -> None:
    inputs, _ = placed
    patches, labels = images(BATCH)
    wrong = MicroBatch(patches, labels + MODEL.classes)
    for _ in range(2):
        with pytest.raises(PeelVitError, match="a label is outside"):
            inputs.place(wrong)


def test_an_announced_step_is_known_by_its_arrays() -> None:
    steps, (patches, labels) = Steps(BATCH), images(4)
    first = steps.announce(patches, labels)
    assert steps.take(patches, labels)[0] is first
    assert steps.take(patches, labels)[0] is not first
    steps.announce(patches, labels)
    assert steps.take(patches.copy(), labels)[0] is not first
    with pytest.raises(PeelVitError, match="a step of 3 images is not a whole number"):
        steps.take(patches[:3], labels[:3])


@pytest.mark.parametrize("micro_batches", [1, 2])
@pytest.mark.parametrize("sparsity", [DENSE, Sparsity(0.7, 0.6, (2,))], ids=["dense", "sparse"])
def test_announcing_changes_no_bit(micro_batches: int, sparsity: Sparsity) -> None:
    batches = [images(BATCH * micro_batches, seed) for seed in range(4)]
    plain, ahead = session(sparsity), session(sparsity)
    for index, batch in enumerate(batches):
        plain.train_step(*batch, learning_rate=0.05)
        following = batches[index + 1] if index + 1 < len(batches) else None
        ahead.train_step(*batch, learning_rate=0.05, coming=lambda following=following: following)
        if index == 1:  # an evaluation in between takes one of the places
            assert np.array_equal(plain.logits(batch[0]), ahead.logits(batch[0]))
    for name, array in plain.state().items():
        assert np.array_equal(array, ahead.state()[name]), name


def test_a_wrong_step_to_come_is_refused_when_it_comes() -> None:
    made, (patches, labels) = session(), images(BATCH)
    wrong = patches, labels + MODEL.classes
    made.train_step(patches, labels, learning_rate=0.05, coming=lambda: wrong)
    with pytest.raises(PeelVitError, match="a label is outside"):
        made.train_step(*wrong, learning_rate=0.05)
    made.train_step(patches, labels, learning_rate=0.05)
