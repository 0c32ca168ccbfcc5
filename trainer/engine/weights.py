"""Weights with timm's names, from files and to files."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from host.checkpoint import replaced_file
from host.errors import PeelVitError
from host.float_weights import load_float_weights, plain_name
from trainer.models.base import ImageClassifier
from trainer.models.timm_state import load_timm_state

_NESTED = ("model", "state_dict", "model_state")
"""Where checkpoints of this program, DeiT and timm have the weights."""


def load_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a .safetensors, .npz or torch file by plain names; `PeelVitError` when it cannot be read."""
    return weights_in(load_content(path), path)


def load_content(path: Path) -> Any:
    """What a .safetensors, .npz or torch file holds, on the CPU; `PeelVitError` when it cannot be read."""
    if path.suffix == ".npz":
        return {name: torch.tensor(array) for name, array in load_float_weights(path).items()}
    try:
        return load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except FileNotFoundError:
        raise PeelVitError(f"there is no file {path}; check the path of the weights") from None
    except OSError as error:
        raise PeelVitError(f"cannot read {path}: {error.strerror}; check the path of the weights") from None
    except (zipfile.BadZipFile, EOFError, RuntimeError, pickle.UnpicklingError, SafetensorError):
        raise PeelVitError(
            f"{path} is damaged or holds more than tensors; save the weights again, best as .safetensors"
        ) from None


def weights_in(content: Any, path: Path) -> dict[str, Tensor]:
    """The tensors by plain names in the `content` of `path`, wherever it has them."""
    for name in _NESTED:
        content = content.get(name, content) if isinstance(content, Mapping) else content
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise PeelVitError(f"{path} holds no weights by name; save the model's state_dict")
    return {plain_name(name): tensor for name, tensor in content.items()}


def start_from(model: ImageClassifier, path: Path, *, reset_head: bool = False) -> None:
    """Load the weights of a file into `model`, which keeps its own head with `reset_head`.

    Raises `PeelVitError` for another model's weights or another number of classes.
    """
    fit(model, load_weights(path), path, reset_head=reset_head)


def fit(model: ImageClassifier, weights: Mapping[str, Tensor], path: Path, *, reset_head: bool = False) -> None:
    """Put `weights` into `model` as `start_from` does; `path` is where they come from."""
    fresh, weights = model.state_dict(), model.timm_names(weights)
    if reset_head:
        weights = {name: tensor for name, tensor in weights.items() if not _is_head(name)}
        weights |= {name: tensor for name, tensor in fresh.items() if _is_head(name)}
        print(f"the head of {path} is left out")
    else:
        _check_classes(weights, fresh, path)
    load_timm_state(model, weights)


def _is_head(name: str) -> bool:
    return "head" in name.split(".", 1)[0]


def _check_classes(weights: Mapping[str, Tensor], fresh: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in weights.items():
        if _is_head(name) and name in fresh and tensor.shape[:1] != fresh[name].shape[:1]:
            raise PeelVitError(
                f"{path} has {len(tensor)} classes but the model has {len(fresh[name])}; "
                "use --reset-head for a new classifier, or the data set that they were trained on"
            )


def save_weights(path: Path, model: nn.Module) -> None:
    """Write the weights to a .safetensors file with timm's names, all or nothing."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with replaced_file(path) as file:
        file.write(save(state))
