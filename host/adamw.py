"""AdamW on the processor cores, in IEEE binary32 with one fixed order of operations, so that any machine agrees.

For every element, with each line rounded once to binary32 (nearest, ties to even) and nothing fused:

    w  = w * (1 - lr * decay)           decoupled weight decay
    m  = m * beta1
    m  = m + g * (1 - beta1)            product first, then the sum
    v  = v * beta2
    v  = v + (g * g) * (1 - beta2)      square, then product, then the sum
    d  = sqrt(v) / sqrt(1 - beta2^t)
    d  = d + eps
    w  = w - (m / d) * (lr / (1 - beta1^t))

The factors that do not depend on the element are computed in binary64 and rounded to binary32 once a step; beta^t is a
running product, because a library's `pow` may differ between machines while a multiplication cannot. NumPy's float32
add, subtract, multiply, divide and sqrt are correctly rounded on x86-64 and AArch64 alike, with or without SIMD.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.errors import CheckpointError, PeelVitError

Float32Array = NDArray[np.float32]

CHUNK = 16384
"""Elements worked on at a time: the six 64 KiB streams of a chunk stay in the second-level cache (1 MiB on ZCU102)."""


@dataclass(frozen=True)
class _Factors:
    """What one step multiplies with, each rounded to binary32."""

    beta1: np.float32
    one_minus_beta1: np.float32
    beta2: np.float32
    one_minus_beta2: np.float32
    root_correction2: np.float32
    eps: np.float32
    step_size: np.float32
    decay: np.float32


class AdamW:
    """AdamW over named float32 tensors, in place.

    Arguments:
        shapes: name and shape of every trained tensor.
        betas, eps, weight_decay: as in `torch.optim.AdamW`.
        no_decay: names that weight decay leaves alone (timm: biases, norms, class token, positions).

    Each step: `begin_step(lr)` once, then `update` once for every tensor. Raises `PeelVitError` for hyperparameters
    out of range and on a machine that flushes subnormal numbers to zero.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        no_decay: Collection[str] = (),
    ) -> None:
        check_adamw(betas, eps, weight_decay)
        check_subnormals()
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.no_decay = frozenset(no_decay)
        self.step = 0
        self.exp_avg = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        self.exp_avg_sq = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        self._beta_powers = (1.0, 1.0)
        self._factors: _Factors | None = None
        self._scratch = np.empty((2, CHUNK), np.float32)

    def begin_step(self, learning_rate: float) -> None:
        """Advance the step count and fix `learning_rate` for the updates that follow."""
        (beta1, beta2), (power1, power2) = self.betas, self._beta_powers
        self.step += 1
        self._beta_powers = (power1 * beta1, power2 * beta2)
        correction1, correction2 = 1.0 - self._beta_powers[0], 1.0 - self._beta_powers[1]
        self._factors = _Factors(
            beta1=np.float32(beta1),
            one_minus_beta1=np.float32(1.0 - beta1),
            beta2=np.float32(beta2),
            one_minus_beta2=np.float32(1.0 - beta2),
            root_correction2=np.float32(math.sqrt(correction2)),
            eps=np.float32(self.eps),
            step_size=np.float32(learning_rate / correction1),
            decay=np.float32(1.0 - learning_rate * self.weight_decay),
        )

    def update(self, name: str, gradient: Float32Array, weight: Float32Array) -> None:
        """Update `weight` in place from `gradient`, both float32 of the shape given for `name` and C-contiguous.

        Every element depends on itself alone, so the chunking cannot be seen in the result. Raises `ValueError` for an
        array of another type, shape or layout, and when `begin_step` was never called.
        """
        if self._factors is None:
            raise ValueError("call begin_step before update")
        first, second = self.exp_avg[name], self.exp_avg_sq[name]
        flat = [_flat_view(name, array, first.shape) for array in (gradient, weight, first, second)]
        decay = name not in self.no_decay
        for start in range(0, first.size, CHUNK):
            self._update_chunk(self._factors, decay, *(array[start : start + CHUNK] for array in flat))

    def _update_chunk(
        self, f: _Factors, decay: bool, g: Float32Array, w: Float32Array, m: Float32Array, v: Float32Array
    ) -> None:
        a, b = self._scratch[:, : g.size]
        if decay:
            np.multiply(w, f.decay, out=w)
        np.multiply(m, f.beta1, out=m)
        np.multiply(g, f.one_minus_beta1, out=a)
        np.add(m, a, out=m)
        np.multiply(v, f.beta2, out=v)
        np.multiply(g, g, out=a)
        np.multiply(a, f.one_minus_beta2, out=a)
        np.add(v, a, out=v)
        np.sqrt(v, out=b)
        np.divide(b, f.root_correction2, out=b)
        np.add(b, f.eps, out=b)
        np.divide(m, b, out=a)
        np.multiply(a, f.step_size, out=a)
        np.subtract(w, a, out=w)

    def state(self) -> dict[str, NDArray[Any]]:
        """Step count, powers of the betas (float64 [2]) and both moments (float32) of every tensor, as copies."""
        state: dict[str, NDArray[Any]] = {"step": np.asarray(self.step), "beta_powers": np.asarray(self._beta_powers)}
        return state | {name: moment.copy() for name, moment in self._moments().items()}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from `state()`; `CheckpointError` when tensors are missing, unknown or of another shape."""
        moments = self._moments()
        shapes = {name: moment.shape for name, moment in moments.items()} | {"step": (), "beta_powers": (2,)}
        different = dict(shapes.items() ^ {name: array.shape for name, array in state.items()}.items())
        if different:
            raise CheckpointError(
                f"the optimizer state does not fit this model (see '{min(different)}'); "
                "resume with the model that the checkpoint was made with"
            )
        self.step = int(state["step"])
        self._beta_powers = (float(state["beta_powers"][0]), float(state["beta_powers"][1]))
        self._factors = None
        for name, moment in moments.items():
            moment[...] = state[name]

    def _moments(self) -> dict[str, Float32Array]:
        return {f"exp_avg.{name}": moment for name, moment in self.exp_avg.items()} | {
            f"exp_avg_sq.{name}": moment for name, moment in self.exp_avg_sq.items()
        }


def check_subnormals() -> None:
    """Refuse to run where subnormal numbers become zero: moments would silently differ from every other machine.

    Some libraries switch the processor to flush-to-zero for the whole process merely by being loaded.
    """
    smallest_normal = np.full(8, np.finfo(np.float32).tiny, np.float32)
    if not np.all(smallest_normal * np.float32(0.5)):
        raise PeelVitError(
            "this process flushes subnormal numbers to zero, so AdamW would not be reproducible; "
            "do not load libraries built with -ffast-math, or use --opt momentum"
        )


def _flat_view(name: str, array: Float32Array, shape: tuple[int, ...]) -> Float32Array:
    if array.dtype != np.float32 or array.shape != shape or not array.flags.c_contiguous:
        raise ValueError(f"{name}: need C-contiguous float32 {shape}, got {array.dtype} {array.shape}")
    return array.reshape(-1)


def check_adamw(betas: tuple[float, float], eps: float, weight_decay: float) -> None:
    """Refuse what AdamW cannot use, NaN included."""
    for beta in betas:
        if not 0.0 <= beta < 1.0:
            raise PeelVitError(f"an AdamW beta is {beta}; give a number from 0 up to, but not including, 1")
    if not eps > 0.0:
        raise PeelVitError(f"AdamW's eps is {eps}; give a number above 0")
    if not weight_decay >= 0.0:
        raise PeelVitError(f"the weight decay is {weight_decay}; give 0 or more")
