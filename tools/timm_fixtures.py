"""Write what timm's models look like and compute, for tests that run without timm: `python tools/timm_fixtures.py`.

Two files in tests/trainer/models/fixtures: `timm_state.json`, per model the shape of every tensor of its state dict by
name, and `timm_logits.npz`, per model the logits that timm computes in float64, stored in float32. Weights and image
are not stored: `formula_tensor` makes them from the tensor's name and shape, here and in the tests alike.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import sys
import types
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

FOLDER = Path(__file__).parents[1] / "tests/trainer/models/fixtures"
MODELS = (
    "deit_tiny_patch16_224",
    "deit_small_patch16_224",
    "deit_base_patch16_224",
    "swin_tiny_patch4_window7_224",
    "swin_small_patch4_window7_224",
    "pit_ti_224",
    "pit_xs_224",
    "pit_s_224",
)
PADDED_SWIN: dict[str, Any] = {
    "img_size": 44,
    "patch_size": 4,
    "num_classes": 10,
    "embed_dim": 8,
    "depths": (2, 2, 2),
    "num_heads": (1, 2, 4),
    "window_size": 4,
}
"""A Swin whose grids of 11, 6 and 3 tokens do not divide into windows of 4: timm's way of padding, and of merging."""


def formula_tensor(name: str, shape: Sequence[int]) -> NDArray[np.float64]:
    """Normal values from MT19937 seeded with the CRC-32 of `name` (a stream numpy has frozen), scaled by kind.

    Matrices and kernels: deviation 1 / sqrt(inputs), so that logits are of order 1 and all different. Embeddings and
    position tables: 0.5. Vectors: 0.1, around 1 for a normalisation's weight and around 0 for a bias.
    """
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if name == "image":
        return values
    if name.endswith(("pos_embed", "cls_token", "relative_position_bias_table")):
        return 0.5 * values
    if len(shape) == 1:
        return 0.1 * values + (0.0 if name.endswith("bias") else 1.0)
    return values / np.sqrt(np.prod(shape[1:]))


def formula_weights(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of `formula_tensor` for every name and shape in `state`, in float64."""
    return {name: torch.from_numpy(formula_tensor(name, tuple(tensor.shape))) for name, tensor in state.items()}


def formula_image(size: int) -> Tensor:
    """One image [1, 3, size, size] in float64."""
    return torch.from_numpy(formula_tensor("image", (1, 3, size, size)))


class _Anything(type):
    """Classes whose every attribute is its own name."""

    def __getattr__(cls, name: str) -> str:
        return _ordinary(name)


def _ordinary(name: str) -> str:
    if name.startswith("__"):
        raise AttributeError(name)
    return name


class _TorchvisionStub(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Serves every module below torchvision as one in which any name is an empty class.

    timm imports torchvision for data sets and transforms, which making a model never touches.
    """

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """A package for each name below torchvision."""
        if name.split(".")[0] != "torchvision":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """A module that has whatever is asked of it."""
        module = types.ModuleType(spec.name)
        module.__getattr__ = lambda attribute: _Anything(_ordinary(attribute), (), {})  # type: ignore[method-assign]
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run."""


def _timm_models() -> dict[str, tuple[nn.Module, int]]:
    """Each model and the size of its images."""
    sys.meta_path.insert(0, _TorchvisionStub())
    import timm
    from timm.models.swin_transformer import SwinTransformer

    models = {name: (timm.create_model(name), 224) for name in MODELS}
    return models | {"padded_swin": (SwinTransformer(**PADDED_SWIN), PADDED_SWIN["img_size"])}


@torch.no_grad()
def main() -> None:
    """Write both files."""
    shapes: dict[str, dict[str, list[int]]] = {}
    logits: dict[str, NDArray[np.float32]] = {}
    for name, (model, size) in _timm_models().items():
        state = model.state_dict()
        shapes[name] = {key: list(tensor.shape) for key, tensor in state.items()}
        model = model.double().eval()
        model.load_state_dict(formula_weights(state))
        logits[name] = model(formula_image(size))[0].float().numpy()
        print(f"{name}: {len(state)} tensors, logits of deviation {logits[name].std():.3f}")
    lines = (f'"{name}":{json.dumps(state, separators=(",", ":"))}' for name, state in shapes.items())
    (FOLDER / "timm_state.json").write_text("{" + ",\n".join(lines) + "}\n")
    np.savez_compressed(FOLDER / "timm_logits.npz", **logits)


if __name__ == "__main__":
    main()
