"""What the programs of `sim` run: random parameters and images, and a model loaded on a device without a session."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hls.spec.config import ConfigError, HardwareConfig, load
from host.compiler import Program
from host.data.pixels import PixelQuantiser, to_patches
from host.data.registry import load_dataset
from host.device import Device
from host.errors import PeelVitError
from host.fabric_optimizers import FabricSgd
from host.layout import Layout
from host.model import ViTConfig
from host.parameters import timm_shapes
from host.slots import INPUT_FRACTION
from host.tensor_memory import TensorMemory
from host.weights import Weights

WEIGHT_DEVIATION = 0.02
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 1e-3


def load_hardware(name: str) -> HardwareConfig:
    """The hardware configuration that a user named; `PeelVitError` when there is none or it cannot be built."""
    try:
        return load(name)
    except ConfigError as error:
        raise PeelVitError(str(error)) from None


class Batch(NamedTuple):
    """Training images: `patches` int16 [n, N, F] at `INPUT_FRACTION`, `labels` int64 [n]."""

    patches: NDArray[np.int16]
    labels: NDArray[np.int64]


def random_parameters(model: ViTConfig, seed: int) -> dict[str, NDArray[np.float32]]:
    """Parameters by timm's names; every bias and scale is drawn too, so that none hides an error behind a 0 or 1."""
    rng = np.random.default_rng(seed)
    state: dict[str, NDArray[np.float32]] = {}
    for name, shape in timm_shapes(model).items():
        is_scale = "norm" in name and name.endswith("weight")
        state[name] = (is_scale + rng.normal(0, WEIGHT_DEVIATION, shape)).astype(np.float32)
    return state


def random_batch(model: ViTConfig, images: int, seed: int) -> Batch:
    """Normally distributed pixels and even labels."""
    rng = np.random.default_rng(seed)
    shape = (images, model.patches, model.patch_features)
    patches = np.clip(rng.normal(0, 1 << INPUT_FRACTION, shape), -32767, 32767).astype(np.int16)
    return Batch(patches, rng.integers(0, model.classes, images))


def real_batch(data: str, model: ViTConfig, images: int, seed: int) -> Batch:
    """Random training images of the data set `data`, resized to the model's size."""
    dataset = load_dataset(data, "train", image_size=model.image_size)
    chosen = np.random.default_rng(seed).integers(0, len(dataset), images)
    quantise = PixelQuantiser(dataset.mean, dataset.std, INPUT_FRACTION)
    return Batch(to_patches(quantise(dataset.read(chosen)), model.patch_size), dataset.labels[chosen])


def load_model(device: Device, layout: Layout, seed: int) -> None:
    """Take the layout's window on `device`; write random parameters, one micro-batch and the starting slot tables."""
    device.allocate(layout.memory.words)
    memory, table = TensorMemory(device, layout), layout.slots.initial_table()
    Weights(memory, layout).load_float(random_parameters(layout.model, seed), table)
    memory.write_slots(layout.training_slots, table)
    memory.write_slots(layout.evaluation_slots, table)
    batch = random_batch(layout.model, layout.use.batch, seed)
    memory.write("patches", batch.patches.reshape(-1, layout.model.patch_features))
    memory.write("labels", batch.labels.reshape(1, -1).astype(np.int32))
    memory.write("hyperparameters", FabricSgd().hyperparameters(LEARNING_RATE, MOMENTUM, WEIGHT_DECAY))


def write_program(device: Device, layout: Layout, program: Program) -> int:
    """Put a program where the layout has room for it; its word address."""
    device.write(layout.programs.address, as_bytes(program.data))
    return layout.programs.address


def as_bytes(data: bytes) -> NDArray[np.uint8]:
    """Bytes as the array that a device writes."""
    return np.frombuffer(data, np.uint8)


def as_float(mantissas: NDArray[Any], fraction: int) -> NDArray[np.float64]:
    """The values of mantissas at `fraction`."""
    return np.ldexp(mantissas.astype(np.float64), -fraction)
