"""Whole training steps give the same bits on golden, on the fast and on the fidelity C simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hls.spec.config import HardwareConfig, load
from host.device import Device
from host.devices.csim import CsimDevice
from host.model import PRESETS, Sparsity, ViTConfig, parse_model
from host.runtime import Session, SessionOptions
from sim.csim import build
from sim.golden.device import GoldenDevice
from sim.workload import random_batch, random_parameters

# No tile of the toy accelerator (8 x 16, chunks of 16, 4 keys) divides these sizes.
ODD = [
    "vit:image=15,patch=3,dim=20,depth=3,heads=2,mlp=28,classes=7",
    "vit:image=14,patch=2,dim=33,depth=4,heads=3,mlp=50,classes=11",
    "vit:image=9,patch=3,dim=52,depth=2,heads=4,mlp=19,classes=3,channels=1",
]
SPARSITIES = {
    "dense": Sparsity(1.0, 1.0, (2,)),
    "sparse": Sparsity(0.7, 0.45, (2,)),
    "keys only": Sparsity(1.0, 0.5, (2,)),
}


def executor(name: str, config: HardwareConfig) -> Device:
    if name == "golden":
        return GoldenDevice(config)
    build(config, name)
    return CsimDevice(config, name)


def trained(
    device: Device, model: ViTConfig, sparsity: Sparsity, batch: int, steps: int, seed: int
) -> dict[str, NDArray[Any]]:
    """State, losses and logits after calibration and `steps` steps of two micro-batches each."""
    session = Session(device, model, sparsity, SessionOptions(batch))
    session.load_parameters(random_parameters(model, seed))
    images = random_batch(model, 2 * batch, seed)
    session.calibrate(images.patches, images.labels)
    losses = []
    for step in range(steps):
        images = random_batch(model, 2 * batch, seed + step)
        result = session.train_step(images.patches, images.labels, learning_rate=0.02, weight_decay=1e-3)
        losses += [result.losses, result.attention_variance]
    found = session.state() | {"losses": np.array(losses), "logits": session.logits(images.patches[:batch])}
    session.close()
    return found


def assert_same(
    config_name: str, executors: list[str], model: ViTConfig, sparsity: Sparsity, batch: int, steps: int, seed: int
) -> None:
    config = load(config_name)
    expected = trained(GoldenDevice(config), model, sparsity, batch, steps, seed)
    for name in executors:
        found = trained(executor(name, config), model, sparsity, batch, steps, seed)
        different = [key for key in expected if not np.array_equal(expected[key], found[key])]
        assert not different, (
            f"{name} differs from golden in {different[:5]}; `make parity` names the first tensor (seed {seed})"
        )


@pytest.mark.parametrize("sparsity", SPARSITIES.values(), ids=SPARSITIES)
@pytest.mark.parametrize("shape", ODD)
def test_small_models_of_odd_sizes(shape: str, sparsity: Sparsity) -> None:
    seed = int(np.random.SeedSequence().generate_state(1)[0])
    batch = int(np.random.default_rng(seed).choice([1, 2, 4]))
    assert_same("toy", ["fast", "fidelity"], parse_model(shape), sparsity, batch, 2, seed)


@pytest.mark.parametrize("sparsity", [SPARSITIES["sparse"]], ids=["sparse"])
def test_small_model_on_the_real_accelerator(sparsity: Sparsity) -> None:
    assert_same("zcu102", ["fast", "fidelity"], parse_model(ODD[1]), sparsity, 2, 1, 5)


@pytest.mark.parametrize(
    "model, executors",
    [
        ("deit_tiny_patch16_224", ["fast"]),
        pytest.param("deit_tiny_patch16_224", ["fidelity"], marks=pytest.mark.slow),
        pytest.param("deit_small_patch16_224", ["fast", "fidelity"], marks=pytest.mark.slow),
    ],
)
def test_deit_at_one_image(model: str, executors: list[str]) -> None:
    assert_same("zcu102", executors, PRESETS[model], Sparsity(0.7, 0.6), 1, 1, 11)
