"""Small trainings from the same weights, over the same images: in float32, and in the accelerator's arithmetic with
each AdamW.

The accelerator's forward and backward pass are the same for both of its optimizers, so that only the update differs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from hls.spec.formats import MASTER_SHIFT
from host.data.dataset import Dataset
from host.data.pixels import PixelQuantiser, to_patches
from host.data.registry import load_dataset
from host.device import Device
from host.initialisation import initial_parameters
from host.model import Sparsity, ViTConfig, parse_model
from host.parameters import FloatArray, quantise_weight
from host.runtime import Session, SessionOptions
from host.schedules import ConstantRate, CosineRate
from host.slots import INPUT_FRACTION
from trainer.float_training import FloatTrainer
from trainer.models.vit import VisionTransformer

MODELS = {
    "fashion_mnist": "vit:image=28,patch=7,dim=64,depth=4,heads=4,mlp=128,classes=10,channels=1",
    "cifar10": "vit:image=32,patch=8,dim=64,depth=4,heads=4,mlp=128,classes=10,channels=3",
}
BATCH, TEST_IMAGES, LAST = 16, 1000, 50
WEIGHT_DECAY, RATE, LOW_RATE = 0.05, 1e-3, 5e-6
OPTIMIZERS = {"fp32": "float32", "adamw": "fixed16", "adamw-fabric": "fixed16", "adamw, 16-bit weights": "fixed16"}
"""What is compared, and the arithmetic of its forward and backward pass. The last one keeps no master weights."""

CASES = {
    "from scratch": ("fp32", "adamw", "adamw-fabric"),
    "low rate": ("fp32", "adamw", "adamw-fabric", "adamw, 16-bit weights"),
}
"""`low rate` goes on from weights trained in float at a rate that moves a weight by less than half its 16-bit unit."""

Weights = dict[str, FloatArray]
Step = Callable[[NDArray[np.int16], NDArray[np.int64], float], float]


@dataclass(frozen=True)
class Result:
    """One training: mean loss of the last `LAST` steps, and loss and accuracy in % on `TEST_IMAGES` held-out images."""

    case: str
    dataset: str
    optimizer: str
    arithmetic: str
    seed: int
    steps: int
    train_loss: float
    test_loss: float
    test_top1: float
    saturations: int
    seconds: float


class Images:
    """A data set's images as the device takes them."""

    def __init__(self, name: str, split: str, model: ViTConfig) -> None:
        self._data: Dataset = load_dataset(name, split, image_size=model.image_size)
        self._quantise, self._patch = PixelQuantiser(self._data.mean, self._data.std, INPUT_FRACTION), model.patch_size

    def at(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
        """Patches and labels."""
        return to_patches(self._quantise(self._data.read(indices)), self._patch), self._data.labels[indices]

    def batches(self, steps: int, seed: int) -> Iterator[tuple[NDArray[np.int16], NDArray[np.int64]]]:
        """`steps` batches, epoch after epoch in an order of the seed."""
        rng, order = np.random.default_rng(seed), np.empty(0, np.int64)
        for _ in range(steps):
            if len(order) < BATCH:
                order = rng.permutation(len(self._data.labels))
            yield self.at(order[:BATCH])
            order = order[BATCH:]

    def first(self, count: int) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
        """The first `count` images."""
        return self.at(np.arange(count))


class FloatRun:
    """float32 on this machine."""

    saturations = 0

    def __init__(self, model: ViTConfig, weights: Mapping[str, FloatArray]) -> None:
        self._rate = 0.0
        net = VisionTransformer(model)
        net.load_state_dict({name: torch.from_numpy(np.asarray(array, np.float32)) for name, array in weights.items()})
        self._trainer = FloatTrainer(net, lambda _: self._rate, "adamw", weight_decay=WEIGHT_DECAY)

    def step(self, patches: NDArray[np.int16], labels: NDArray[np.int64], rate: float) -> float:
        """One update; the mean loss before it."""
        self._rate = rate
        return self._trainer.step(_floats(patches), labels).loss

    def test(self, patches: NDArray[np.int16], labels: NDArray[np.int64]) -> tuple[float, float]:
        """Mean loss, and accuracy in %."""
        found = self._trainer.evaluate([(_floats(patches), torch.from_numpy(labels))])
        return found.loss, 100.0 * found.accuracy

    def weights(self) -> Weights:
        """What has been trained."""
        return {name: tensor.detach().numpy().copy() for name, tensor in self._trainer.model.state_dict().items()}


class FixedRun:
    """The accelerator's arithmetic on `device`, with an optimizer of `OPTIMIZERS`."""

    def __init__(self, device: Device, model: ViTConfig, weights: Weights, images: Images, optimizer: str) -> None:
        self._forgets = optimizer == "adamw, 16-bit weights"
        name = "adamw" if self._forgets else optimizer
        self._session = Session(device, model, Sparsity(), SessionOptions(BATCH, optimizer=name))
        self._session.load_parameters(weights)
        self._session.calibrate(*images.first(BATCH))
        self.saturations = 0

    def step(self, patches: NDArray[np.int16], labels: NDArray[np.int64], rate: float) -> float:
        """One update; the mean loss before it."""
        result = self._session.train_step(patches, labels, learning_rate=rate, weight_decay=WEIGHT_DECAY)
        self.saturations += result.saturations
        if self._forgets:
            self._forget_low_halves()
        return float(result.losses.mean())

    def _forget_low_halves(self) -> None:
        """Leave of the master weights what their 16-bit copy holds."""
        weights = self._session.weights
        state = weights.state()
        for parameter in weights.parameters:
            name = f"master.{parameter.name}"
            state[name] = quantise_weight(state[name]).astype(np.int32) << MASTER_SHIFT
        weights.load_state(state)

    def test(self, patches: NDArray[np.int16], labels: NDArray[np.int64]) -> tuple[float, float]:
        """Mean loss, and accuracy in %."""
        found = self._session.evaluate(patches, labels)
        return float(found.losses.mean()), 100.0 * float(found.correct.mean())


def train(case: str, dataset: str, optimizer: str, seed: int, steps: int, device: Device) -> Result:
    """One training; `device` is used for those in the accelerator's arithmetic."""
    began, model = time.perf_counter(), parse_model(MODELS[dataset])
    images = Images(dataset, "train", model)
    weights: Weights = dict(initial_parameters(model, seed))
    rate: Callable[[int], float] = CosineRate(RATE, steps, warmup_steps=steps // 10)
    if case == "low rate":
        weights, rate = _trained(dataset, seed, steps), ConstantRate(LOW_RATE)
    run = FloatRun(model, weights) if optimizer == "fp32" else FixedRun(device, model, weights, images, optimizer)
    losses = [run.step(*batch, rate(index)) for index, batch in enumerate(images.batches(steps, seed))]
    test_loss, top1 = run.test(*Images(dataset, "test", model).first(TEST_IMAGES))
    return Result(
        case, dataset, optimizer, OPTIMIZERS[optimizer], seed, steps, math.fsum(losses[-LAST:]) / len(losses[-LAST:]),
        test_loss, top1, run.saturations, time.perf_counter() - began,
    )  # fmt: skip


@cache
def _trained(dataset: str, seed: int, steps: int) -> Weights:
    """Weights after `steps` float updates at the full rate, over other batches."""
    model = parse_model(MODELS[dataset])
    run = FloatRun(model, initial_parameters(model, seed))
    for batch in Images(dataset, "train", model).batches(steps, seed + 1000):
        run.step(*batch, RATE)
    return run.weights()


def _floats(patches: NDArray[np.int16]) -> torch.Tensor:
    return torch.from_numpy(patches).float() * 2.0**-INPUT_FRACTION
