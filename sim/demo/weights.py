"""The float weights with which all three runs begin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.checkpoint import replaced_file
from host.initialisation import initial_parameters
from host.model import ViTConfig

_FACTORS = {
    "cls_token": 6.0,
    "pos_embed": 6.0,
    "patch_embed.proj.weight": 3.0,
}
"""Tokens start at about 1 and positions at half of that: a run this short has no time to let them grow."""


def short_run_weights(model: ViTConfig, seed: int) -> dict[str, NDArray[np.float32]]:
    """float32 arrays by timm's names: the usual fresh weights with larger embeddings."""
    weights = initial_parameters(model, seed)
    return {name: np.float32(_FACTORS.get(name, 1.0)) * array for name, array in weights.items()}


def write_weights(path: Path, model: ViTConfig, seed: int) -> None:
    """Write `short_run_weights` as .npz."""
    with replaced_file(path) as file:
        np.savez(file, **short_run_weights(model, seed))
