"""Parameters: timm's names and shapes on one side, the device's matrices on the other.

A device matrix has rows and columns only. Its heads are padded to whole memory words with zeros, which stay zero in
training because their gradients are exactly zero. The position embedding is two matrices: class row and patch rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls.spec.formats import MASTER_MAX, MASTER_MIN, MASTER_SHIFT, limit
from hls.spec.slots import F_MIN
from host.errors import PeelVitError
from host.model import ViTConfig

FloatArray = NDArray[np.floating[Any]]
Int32Array = NDArray[np.int32]

WEIGHT_BITS = 14
"""A fresh weight tensor's largest 16-bit magnitude has this many bits: room to grow before it is rescaled."""

ZERO_FRACTION = 14
"""Fraction of a weight tensor of zeros."""

LARGEST_FRACTION = 20
"""Finest fraction of a weight tensor: one that starts almost at zero must have room for its first updates."""


@dataclass(frozen=True)
class Parameter:
    """One parameter matrix of the device.

    Attributes:
        name: the device's name; timm's, but for `pos_embed.class` and `pos_embed.patches`.
        source: timm's name.
        rows, columns: device shape; vectors have one row.
        decays: whether weight decay applies: only to matrices of linear layers.
    """

    name: str
    source: str
    rows: int
    columns: int
    decays: bool


def device_parameters(model: ViTConfig) -> list[Parameter]:
    """All parameter matrices of `model`, in timm's order."""
    return list(_parameters(model))


def _vector(name: str, columns: int) -> Parameter:
    return Parameter(name, name, 1, columns, decays=False)


def _linear(name: str, rows: int, columns: int) -> Iterator[Parameter]:
    yield Parameter(f"{name}.weight", f"{name}.weight", rows, columns, decays=True)
    yield _vector(f"{name}.bias", rows)


def _norm(name: str, columns: int) -> Iterator[Parameter]:
    yield _vector(f"{name}.weight", columns)
    yield _vector(f"{name}.bias", columns)


def _parameters(model: ViTConfig) -> Iterator[Parameter]:
    dim, width = model.dim, model.attention_width
    yield _vector("cls_token", dim)
    yield Parameter("pos_embed.class", "pos_embed", 1, dim, decays=False)
    yield Parameter("pos_embed.patches", "pos_embed", model.patches, dim, decays=False)
    yield from _linear("patch_embed.proj", dim, model.patch_features)
    for index in range(model.depth):
        block = f"blocks.{index}."
        yield from _norm(block + "norm1", dim)
        yield from _linear(block + "attn.qkv", 3 * width, dim)
        yield from _linear(block + "attn.proj", dim, width)
        yield from _norm(block + "norm2", dim)
        yield from _linear(block + "mlp.fc1", model.mlp_hidden, dim)
        yield from _linear(block + "mlp.fc2", dim, model.mlp_hidden)
    yield from _norm("norm", dim)
    yield from _linear("head", model.classes, dim)


def timm_shapes(model: ViTConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of timm's state dict for `model`."""
    dim = model.dim
    special = {
        "cls_token": (1, 1, dim),
        "pos_embed": (1, 1 + model.patches, dim),
        "patch_embed.proj.weight": (dim, model.channels, model.patch_size, model.patch_size),
    }
    padded = {"attn.qkv.weight": (3 * dim, dim), "attn.qkv.bias": (3 * dim,), "attn.proj.weight": (dim, dim)}
    shapes: dict[str, tuple[int, ...]] = {}
    for parameter in device_parameters(model):
        name, plain = parameter.source, (parameter.rows, parameter.columns)
        vector = name.endswith("bias") or "norm" in name
        inner = name.split(".", 2)[-1]
        shapes[name] = special.get(name) or padded.get(inner) or (plain[1:] if vector else plain)
    return shapes


def check_state(model: ViTConfig, state: Mapping[str, FloatArray]) -> None:
    """Refuse float parameters that do not fit `model`, naming the first that is missing, unknown or misshapen."""
    shapes = timm_shapes(model)
    different = sorted(shapes.keys() ^ state.keys())
    if different:
        word = "lack" if different[0] in shapes else "have an unknown"
        raise PeelVitError(f"the weights {word} {different[0]}; load weights of a model shaped like {model.name}")
    for name, shape in shapes.items():
        if state[name].shape != shape:
            raise PeelVitError(
                f"{name} has shape {list(state[name].shape)} but {model.name} needs {list(shape)}; "
                "load weights of a model of the same shape"
            )
        if not np.isfinite(state[name]).all():
            raise PeelVitError(f"{name} holds values that are not finite; load weights that did not diverge")


def to_device(model: ViTConfig, parameter: Parameter, state: Mapping[str, FloatArray]) -> NDArray[np.float64]:
    """The device matrix [rows, columns] of one parameter, from timm's float arrays."""
    source = np.asarray(state[parameter.source], np.float64)
    if parameter.source == "pos_embed":
        source = source[0, :1] if parameter.name.endswith("class") else source[0, 1:]
    elif ".attn.qkv." in parameter.name:
        source = _pad_heads(model, source.reshape(3, model.heads, model.head_dim, -1))
    elif parameter.name.endswith(".attn.proj.weight"):
        source = _pad_heads(model, source.reshape(model.dim, model.heads, model.head_dim, 1))
    return np.ascontiguousarray(source.reshape(parameter.rows, parameter.columns))


def _pad_heads(model: ViTConfig, array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Zeros behind each head of an array [..., heads, head_dim, columns]."""
    padding = model.padded_head_dim - model.head_dim
    return np.pad(array, ((0, 0), (0, 0), (0, padding), (0, 0)))


def to_timm(model: ViTConfig, matrices: Mapping[str, FloatArray]) -> dict[str, NDArray[np.float32]]:
    """timm's float32 arrays from the device's matrices by device name: the inverse of `to_device`."""
    shapes = timm_shapes(model)
    state: dict[str, NDArray[np.float32]] = {}
    for parameter in device_parameters(model):
        matrix = matrices[parameter.name]
        if ".attn.qkv." in parameter.name:
            matrix = matrix.reshape(3, model.heads, model.padded_head_dim, -1)[:, :, : model.head_dim]
        elif parameter.name.endswith(".attn.proj.weight"):
            matrix = matrix.reshape(model.dim, model.heads, model.padded_head_dim)[:, :, : model.head_dim]
        if parameter.name == "pos_embed.patches":
            matrix = np.concatenate([matrices["pos_embed.class"], matrix])
        if parameter.name != "pos_embed.class":
            state[parameter.source] = matrix.reshape(shapes[parameter.source]).astype(np.float32)
    return state


def weight_fraction(matrix: FloatArray) -> int:
    """Fraction of the 16-bit weights: the largest magnitude gets `WEIGHT_BITS` bits."""
    largest = float(np.abs(matrix).max())
    if largest == 0.0:
        return ZERO_FRACTION
    exponent = int(np.frexp(largest)[1])  # largest < 2**exponent
    return max(F_MIN, min(LARGEST_FRACTION, WEIGHT_BITS - exponent))


def quantise_master(matrix: FloatArray, fraction: int) -> Int32Array:
    """Master weights: `matrix` at `fraction + MASTER_SHIFT` fraction bits, rounded to nearest even."""
    mantissa = np.rint(np.ldexp(np.asarray(matrix, np.float64), fraction + MASTER_SHIFT))
    return np.clip(mantissa, MASTER_MIN, MASTER_MAX).astype(np.int32)


def quantise_weight(master: Int32Array) -> NDArray[np.int16]:
    """The 16-bit copy that the datapath reads: the rounded high half."""
    rounded = (master.astype(np.int64) + (1 << (MASTER_SHIFT - 1))) >> MASTER_SHIFT
    return np.clip(rounded, -limit(16), limit(16)).astype(np.int16)


def low_half(master: Int32Array) -> Int32Array:
    """What rounding to the 16-bit copy leaves of master weights (int32 of any shape): master - copy * 2**16, an int16.

    `PeelVitError` where a master weight is beyond `MASTER_MIN` or `MASTER_MAX`, which no update makes.
    """
    if master.size and (master.min() < MASTER_MIN or master.max() > MASTER_MAX):
        raise PeelVitError("a master weight lies outside its range; the checkpoint is damaged, use another one")
    return master - (quantise_weight(master).astype(np.int32) << MASTER_SHIFT)


def joined_master(weight: NDArray[np.int16], low: Int32Array) -> Int32Array:
    """Master weights of their 16-bit copy and `low_half`, both of one shape."""
    return (weight.astype(np.int32) << MASTER_SHIFT) + low


def dequantise_master(master: Int32Array, fraction: int) -> NDArray[np.float64]:
    """The exact values of master weights."""
    return np.ldexp(master.astype(np.float64), -(fraction + MASTER_SHIFT))


def master_peak(master: Int32Array, empty: int) -> int:
    """Bit length of the largest magnitude as `sgd_update` records it; `empty` when all are zero."""
    magnitude = int(np.maximum(master, ~master).max(initial=0))
    return magnitude.bit_length() if master.any() else empty
