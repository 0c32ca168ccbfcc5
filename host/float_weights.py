"""Float weights by timm's names, read from .npz and .safetensors files and written to .safetensors."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.checkpoint import replaced_file
from host.errors import PeelVitError
from host.model import ViTConfig
from host.parameters import check_state, timm_shapes

FloatArray = NDArray[np.floating[Any]]

WRAPPER_PREFIXES = ("module.", "_orig_mod.")
"""Put in front of names by DistributedDataParallel and torch.compile."""

HEAD = ("head.weight", "head.bias")

_TYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(code) for name, code in (("F64", "<f8"), ("F32", "<f4"), ("F16", "<f2"), ("BF16", "<u2"))
}
_LENGTH_BYTES = 8


def load_float_weights(path: Path) -> dict[str, FloatArray]:
    """All float tensors of a file by plain names; `PeelVitError` when it cannot be read."""
    readers = {".npz": _read_npz, ".safetensors": _read_safetensors}
    if path.suffix not in readers:
        raise PeelVitError(f"{path} is neither .npz nor .safetensors; save the weights as one of these")
    try:
        tensors = readers[path.suffix](path)
    except FileNotFoundError:
        raise PeelVitError(f"there is no file {path}; check the path of the weights") from None
    except OSError as error:
        raise PeelVitError(f"cannot read {path}: {error.strerror}; check the path of the weights") from None
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile):
        raise PeelVitError(f"{path} is damaged or not what its name says; save the weights again") from None
    return {plain_name(name): tensor for name, tensor in tensors.items()}


def fitted(
    model: ViTConfig,
    weights: Mapping[str, FloatArray],
    fresh: Mapping[str, FloatArray],
    keep_fresh: Collection[str] = (),
) -> dict[str, FloatArray]:
    """`weights` for `model`, with the tensors `keep_fresh` from `fresh`; prints how many were mapped.

    `PeelVitError` says how many, and names the first tensor that is missing, unknown or of another shape.
    """
    shapes = timm_shapes(model)
    state = {name: array for name, array in weights.items() if name not in keep_fresh}
    mapped = sum(name in shapes and array.shape == shapes[name] for name, array in state.items())
    count = f"{mapped} of {len(shapes)} tensors mapped"
    state |= {name: fresh[name] for name in keep_fresh}
    try:
        check_state(model, state)
    except PeelVitError as error:
        raise PeelVitError(f"{count}: {error}") from None
    print(count, flush=True)
    return state


def save_safetensors(path: Path, tensors: Mapping[str, NDArray[np.float32]]) -> None:
    """Write float32 tensors; torch, timm and safetensors read them."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, array in tensors.items():
        size = 4 * array.size
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)
    with replaced_file(path) as file:
        file.write(len(text).to_bytes(_LENGTH_BYTES, "little") + text)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array, "<f4").tobytes())


def _read_npz(path: Path) -> dict[str, FloatArray]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _read_safetensors(path: Path) -> dict[str, FloatArray]:
    content = path.read_bytes()
    start = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    header = json.loads(content[_LENGTH_BYTES:start])
    data = memoryview(content)[start:]
    return {name: _tensor(data, entry) for name, entry in header.items() if name != "__metadata__"}


def _tensor(data: memoryview, entry: Mapping[str, Any]) -> FloatArray:
    begin, end = entry["data_offsets"]
    flat = np.frombuffer(data[begin:end], _TYPES[entry["dtype"]])
    if entry["dtype"] == "BF16":  # the upper half of a binary32
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.reshape(entry["shape"])


def plain_name(name: str) -> str:
    """`name` without the prefixes of wrappers."""
    while name.startswith(WRAPPER_PREFIXES):
        name = name.split(".", 1)[1]
    return name
