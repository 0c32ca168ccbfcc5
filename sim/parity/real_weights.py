"""A real ViT-S through the fixed-point model: how close its features stay to floating point.

    python -m sim.parity.real_weights

The weights are those of a public ONNX file (`trainer.onnx_weights`), LayerScale folded into the projections. The golden
model runs all tokens of a few pictures forward; each block's output is compared with float64 torch.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from hls.spec.config import load
from host.data.pixels import PixelQuantiser, to_patches
from host.data.registry import default_data_dir
from host.errors import run_main
from host.model import Sparsity, ViTConfig
from host.runtime import Session, SessionOptions
from host.slots import INPUT_FRACTION
from sim.golden.device import GoldenDevice
from trainer.models.vit import VisionTransformer
from trainer.onnx_weights import fetch_vit_s, vit_state_from_onnx

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MEMORY = 2 << 30
"""Bytes: nothing is trained here, and every block's output is kept."""


@dataclass(frozen=True)
class LayerError:
    """How far a layer's features, [images, tokens, dim], are from float64."""

    layer: str
    cosine: float
    relative_error: float


def pictures(count: int, size: int, seed: int) -> npt.NDArray[np.uint8]:
    """Pictures [count, size, size, 3] with structure at several scales, made from a seed."""
    rng = np.random.default_rng(seed)
    total = np.zeros((count, size, size, 3))
    for cells in (4, 8, 28, 112):
        coarse = rng.normal(size=(count, cells, cells, 3)) / np.sqrt(cells)
        total += np.kron(coarse, np.ones((1, size // cells, size // cells, 1)))
    low, high = total.min(), total.max()
    return np.round((total - low) / (high - low) * 255).astype(np.uint8)


def _float_features(
    model: ViTConfig, state: Mapping[str, torch.Tensor], patches: npt.NDArray[np.int16]
) -> dict[str, npt.NDArray[np.float64]]:
    network = VisionTransformer(model).double()
    network.load_state_dict(state)
    record: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        network(torch.from_numpy(patches * 2.0**-INPUT_FRACTION), record=record)
    return {f"blocks.{i}.out": record[f"blocks.{i}.out"].numpy() for i in range(model.depth)}


def compare(path: Path, images: npt.NDArray[np.uint8]) -> list[LayerError]:
    """The errors of every block's output."""
    shape, state = vit_state_from_onnx(path)
    model = ViTConfig(name="vit_small_patch14", **shape)
    patches = to_patches(PixelQuantiser(MEAN, STD, INPUT_FRACTION)(images), model.patch_size)
    expected = _float_features(model, state, patches)
    options = SessionOptions(len(images), training=False, trace=True, memory_limit=MEMORY)
    # Numbers do not depend on sizes; the board's 255 patches are what two heads' keys may take in block RAM.
    config = replace(load("zcu102"), max_patches=model.patches)
    session = Session(GoldenDevice(config), model, Sparsity(1.0, 1.0), options)
    session.load_parameters({name: tensor.numpy() for name, tensor in state.items()})
    session.calibrate(patches)
    found = session.features(patches, list(expected))
    return [_error(name, found[name], expected[name]) for name in expected]


def _error(name: str, found: npt.NDArray[np.float64], expected: npt.NDArray[np.float64]) -> LayerError:
    a, b = found.ravel(), expected.ravel()
    cosine = float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    return LayerError(name, cosine, float(np.linalg.norm(a - b) / np.linalg.norm(b)))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m sim.parity.real_weights", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    options = parser.parse_args()
    errors = compare(fetch_vit_s(options.data_dir), pictures(options.images, 224, options.seed))
    print(f"{'layer':<14}{'cosine':>12}{'relative error':>16}")
    for error in errors:
        print(f"{error.layer:<14}{error.cosine:>12.8f}{error.relative_error:>16.2e}")


if __name__ == "__main__":
    run_main(main)
