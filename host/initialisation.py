"""Fresh parameters for a run that starts from nothing, the same on every machine."""

from __future__ import annotations

import math
import zlib

import numpy as np
from numpy.typing import NDArray

from host.model import ViTConfig
from host.parameters import timm_shapes

_DRAWS = 12
_DRAW_BITS = 16


def initial_parameters(model: ViTConfig, seed: int) -> dict[str, NDArray[np.float32]]:
    """float32 arrays by timm's names: matrices and embeddings about normal, biases 0, LayerNorm weights 1.

    The deviation is sqrt(2 / (5 dim)), "SmallInit" (Nguyen and Salazar, 2019): timm's fixed 0.02 suits dimensions of
    hundreds, and a small model with it does not leave chance within the few epochs of a run on the board. Every tensor
    has a random stream of its own, so one of another shape (a new head) leaves the others as they are.
    """
    deviation = math.sqrt(2 / (5 * model.dim))
    return {name: _initial(name, shape, seed, deviation) for name, shape in timm_shapes(model).items()}


def _initial(name: str, shape: tuple[int, ...], seed: int, deviation: float) -> NDArray[np.float32]:
    if name.endswith("bias"):
        return np.zeros(shape, np.float32)
    if len(shape) == 1:
        return np.ones(shape, np.float32)
    return (deviation * _nearly_normal(shape, seed, name)).astype(np.float32)


def _nearly_normal(shape: tuple[int, ...], seed: int, name: str) -> NDArray[np.float64]:
    """Numbers of mean 0 and variance 1 within +-6: sums of twelve uniform ones.

    Sums of integers are exact, while the logarithms behind `standard_normal` differ between mathematical libraries.
    """
    key = np.random.SeedSequence((seed, zlib.crc32(name.encode())))
    random = np.random.RandomState(np.random.MT19937(key))
    total = np.zeros(shape, np.int64)
    for _ in range(_DRAWS):
        total += random.randint(0, 1 << _DRAW_BITS, shape)
    centre = _DRAWS * ((1 << _DRAW_BITS) - 1)
    return (2 * total - centre) / float(2 << _DRAW_BITS)
