"""The float weights with which all three runs begin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.checkpoint import replaced_file
from host.initialisation import INIT_STD, initial_parameters
from host.model import ViTConfig

EMBEDDING_STD = 0.5
"""Of class token and positions: as large as an embedded patch, about 1, so that a short run need not find places first."""

RESIDUAL_SCALE = 0.3
"""Of the two matrices of a block whose results are added to the residual stream, which then grows slowly with depth."""


def short_run_weights(model: ViTConfig, seed: int) -> dict[str, NDArray[np.float32]]:
    """float32 arrays by timm's names: the usual fresh weights, scaled for SGD at a small width and a few thousand images.

    timm's deviation of 0.02 suits wide models and long runs of AdamW. Here each matrix gets 1 / sqrt(inputs), so that
    signals and gradients keep their size from the first step on.
    """
    return {name: _scaled(name, array) for name, array in initial_parameters(model, seed).items()}


def _scaled(name: str, array: NDArray[np.float32]) -> NDArray[np.float32]:
    deviation = _deviation(name, array.shape)
    return array if deviation is None else (array * (deviation / INIT_STD)).astype(np.float32)


def _deviation(name: str, shape: tuple[int, ...]) -> float | None:
    """The standard deviation wanted; None where the usual start stays: vectors, and the classifier."""
    if name in ("cls_token", "pos_embed"):
        return EMBEDDING_STD
    if len(shape) == 1 or name.startswith("head."):
        return None
    residual = name.endswith(("attn.proj.weight", "mlp.fc2.weight"))
    return (RESIDUAL_SCALE if residual else 1.0) / float(np.prod(shape[1:])) ** 0.5


def write_weights(path: Path, model: ViTConfig, seed: int) -> None:
    """Write `short_run_weights` as .npz."""
    with replaced_file(path) as file:
        np.savez(file, **short_run_weights(model, seed))
