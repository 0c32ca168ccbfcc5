"""A ViT for the accelerator: float weights and the options with which `host/train_edge.py` makes its program of them.

Nothing is written unless the golden model, calibrated on random images, computes what the float model computes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from host.checkpoint import replaced_file
from host.errors import PeelVitError
from host.float_weights import save_safetensors
from host.model import PRESETS, Sparsity, ViTConfig
from host.parameters import check_state
from host.runtime import Session, SessionOptions
from host.slots import INPUT_FRACTION
from sim.golden.device import GoldenDevice
from sim.parity.float_comparison import MEMORY_LIMIT, Likeness, likeness, selections
from sim.workload import as_float, load_hardware, random_batch
from trainer.attention.methods import SelectedAttention
from trainer.keep import DENSE, Forced, Keep
from trainer.models.base import ImageClassifier
from trainer.models.vit import VisionTransformer
from trainer.tokens.method import DenseFlow
from trainer.tokens.trilevel import TokenAttentionSelector

_SPELLING = {"image_size": "image", "patch_size": "patch", "mlp_hidden": "mlp"}
"""Keys of a written-out model where they are not the field's name."""

Arrays = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class DeviceExport:
    """What was written: `weights`, `options` (JSON of `host.options` names), and how close the logits were."""

    weights: Path
    options: Path
    logits: Likeness

    def command(self) -> str:
        """How to evaluate it on the accelerator."""
        values = json.loads(self.options.read_text())
        spelled = [f"--{name.replace('_', '-')} {_spelled(value)}" for name, value in values.items()]
        return " ".join(["python3 host/train_edge.py --mode eval", *spelled])


def export_device(
    model: ImageClassifier, keep: Keep, path: Path, *, hardware: str = "zcu102", images: int = 2, seed: int = 0
) -> DeviceExport:
    """Write the weights to `path`, .safetensors or .npz, and the options beside it as .json.

    `hardware` is the configuration for which the check compiles, `images` how many random ones it compares.

    Raises `PeelVitError`, and writes nothing, when the accelerator cannot run the model or computes other logits.
    """
    writers: dict[str, Callable[[Path, Arrays], None]] = {".safetensors": save_safetensors, ".npz": _save_npz}
    if path.suffix not in writers:
        raise PeelVitError(f"{path} is neither .npz nor .safetensors; host/train_edge.py reads only these")
    config, sparsity = _config(model), _sparsity(model, keep)
    state = {name: tensor.detach().float().cpu().numpy() for name, tensor in model.state_dict().items()}
    check_state(config, state)
    logits = compare(model, config, sparsity, state, hardware, images, seed)
    if not logits.passes:
        raise PeelVitError(
            f"the accelerator's logits differ from the float model's by {logits.error:.2%}, so {path} was not written; "
            "report the weights with which that happens"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    writers[path.suffix](path, state)
    options = path.with_suffix(".json")
    with replaced_file(options) as file:
        file.write((json.dumps(edge_options(config, sparsity, path), indent=2) + "\n").encode())
    return DeviceExport(path, options, logits)


def edge_options(config: ViTConfig, sparsity: Sparsity, weights: Path) -> dict[str, Any]:
    """Values of `host.options.Options` for the model, its sparsity and its weights."""
    return {
        "model": model_string(config),
        "num_classes": config.classes,
        "img_size": config.image_size,
        "token_keep": sparsity.token_keep,
        "attention_keep": sparsity.attention_keep,
        "select_before": list(sparsity.select_before),
        "initial_checkpoint": str(weights),
    }


def model_string(config: ViTConfig) -> str:
    """How `host.model.parse_model` wants to be told of `config`."""
    free = ("image_size", "channels", "classes")
    sizes = [field.name for field in fields(config) if field.name != "name"]
    preset = PRESETS.get(config.name)
    if preset is not None and all(getattr(preset, n) == getattr(config, n) for n in sizes if n not in free):
        return config.name
    return "vit:" + ",".join(f"{_SPELLING.get(name, name)}={getattr(config, name)}" for name in sizes)


def compare(
    model: ImageClassifier, config: ViTConfig, sparsity: Sparsity, state: Arrays, hardware: str, images: int, seed: int
) -> Likeness:
    """Logits of the golden model against those of the float model, which is given the golden model's selections."""
    patches = random_batch(config, images, seed).patches
    settings = SessionOptions(images, training=False, memory_limit=MEMORY_LIMIT, trace=True)
    with closing(Session(GoldenDevice(load_hardware(hardware)), config, sparsity, settings)) as session:
        session.load_parameters(state)
        session.calibrate(patches)
        fixed = session.logits(patches)
        kept, keys = selections(session)
        places = [index + 1 for index in session.target.selectors]
    floating = VisionTransformer(config, TokenAttentionSelector(places)).double().eval()
    floating.load_state_dict(model.state_dict())
    with torch.no_grad():
        inputs = torch.from_numpy(as_float(patches, INPUT_FRACTION))
        output = floating(inputs, Forced(kept, keys) if kept else DENSE)
    return likeness(fixed, output.logits.numpy())


def _config(model: ImageClassifier) -> ViTConfig:
    config = getattr(model, "config", None)
    if type(model) is not VisionTransformer or not isinstance(config, ViTConfig):
        raise PeelVitError("the accelerator runs plain ViTs only; export this model to ONNX instead")
    return config


def _sparsity(model: Any, keep: Keep) -> Sparsity:
    """What the device's selectors do; `PeelVitError` for methods that it does not have."""
    method, depth = model.token_method, model.config.depth
    if isinstance(method, DenseFlow) or keep.is_dense:
        return Sparsity()
    known = type(method) is TokenAttentionSelector and method.placement == "before" and not method.fused_token
    if not known or not isinstance(method.attention, SelectedAttention):
        raise PeelVitError(
            "the accelerator selects tokens before blocks, by the trilevel method with selected attention and without "
            "a fused token; export this model to ONNX instead"
        )
    return Sparsity(keep.tokens, keep.attention, tuple(place for place in method.places if place <= depth))


def _spelled(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _save_npz(path: Path, tensors: Arrays) -> None:
    with replaced_file(path) as file:
        np.savez(file, **tensors)
