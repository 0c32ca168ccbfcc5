"""The optimizers on the fabric: what the host writes for them before each step. Their state is device memory.

AdamW's bias corrections of step t are folded into the learning rate, and `eps` becomes a floor of the second moment:

    w -= lr * decay * w + (lr * sqrt(1 - beta2^t) / (1 - beta1^t)) * m / sqrt(max(v, eps^2 * (1 - beta2^t)))

The betas are those nearest to the ones asked for whose share 1 - beta has 16 fraction bits. beta^t is a running
product, as in `host.adamw`, so that every machine computes the same row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hls.spec.formats import (
    EXP_AVG_SQ_BITS,
    EXP_AVG_SQ_FRACTION,
    LANES,
    MOMENT_SIGNIFICAND_BITS,
    SHARE_BITS,
    encode_moment,
    scale_mantissa,
)
from host.adamw import check_adamw
from host.errors import CheckpointError, PeelVitError

_MAX_SHIFT = 64
_MOMENTUM_BITS = 16
_MANTISSA_BITS = 53
_LEAST_SHARE = 1 << (SHARE_BITS - MOMENT_SIGNIFICAND_BITS)


class FabricOptimizer(Protocol):
    """What a session needs of one."""

    def hyperparameters(self, learning_rate: float, momentum: float, weight_decay: float) -> NDArray[np.int32]:
        """The int32 row [1, 8] that the update's op reads in the next step."""

    def state(self) -> dict[str, NDArray[Any]]:
        """What the host must remember between steps."""

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `state` gave; `CheckpointError` when it is something else."""


class FabricSgd:
    """SGD with momentum: the row depends on nothing but its arguments."""

    def hyperparameters(self, learning_rate: float, momentum: float, weight_decay: float) -> NDArray[np.int32]:
        """Mantissa and shift of the rate, momentum, mantissa and shift of the decay."""
        row = np.zeros((1, LANES), np.int32)
        row[0, :5] = (*_scale(learning_rate), round(momentum * 2**_MOMENTUM_BITS), *_scale(weight_decay))
        return row

    def state(self) -> dict[str, NDArray[Any]]:
        """Nothing."""
        return {}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Nothing to put back."""
        _check_state(state, self.state())


class FabricAdamW:
    """AdamW; `momentum` means nothing to it.

    Raises `PeelVitError` for betas that no optimizer takes or whose share would be lost in a moment's significand.
    """

    def __init__(self, betas: tuple[float, float], eps: float) -> None:
        check_adamw(betas, eps, 0.0)
        self._eps = eps
        self._shares = tuple(_share(beta) for beta in betas)
        self._betas = tuple(1.0 - share / (1 << SHARE_BITS) for share in self._shares)
        self.step = 0
        self._beta_powers = (1.0, 1.0)

    def hyperparameters(self, learning_rate: float, momentum: float, weight_decay: float) -> NDArray[np.int32]:
        """Mantissa and shift of the rate, shares, mantissa and shift of the decay, floor; counts the step."""
        (beta1, beta2), (power1, power2) = self._betas, self._beta_powers
        self.step += 1
        self._beta_powers = (power1 * beta1, power2 * beta2)
        correction1, correction2 = 1.0 - self._beta_powers[0], 1.0 - self._beta_powers[1]
        rate = _scale(learning_rate * math.sqrt(correction2) / correction1)
        decay = _scale(learning_rate * weight_decay)
        row = np.zeros((1, LANES), np.int32)
        row[0, :7] = (*rate, *self._shares, *decay, _second_moment_code(self._eps * self._eps * correction2))
        return row

    def state(self) -> dict[str, NDArray[Any]]:
        """Step count and powers of the betas (float64 [2]): the moments are the device's."""
        return {"step": np.asarray(self.step), "beta_powers": np.asarray(self._beta_powers)}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `state` gave."""
        _check_state(state, self.state())
        self.step = int(state["step"])
        self._beta_powers = (float(state["beta_powers"][0]), float(state["beta_powers"][1]))


def fabric_optimizer(update: str, betas: tuple[float, float], eps: float) -> FabricOptimizer:
    """The host's part of the update op `update`; `betas` and `eps` are AdamW's."""
    return FabricSgd() if update == "sgd_update" else FabricAdamW(betas, eps)


def _check_state(state: Mapping[str, NDArray[Any]], own: Mapping[str, NDArray[Any]]) -> None:
    if {name: array.shape for name, array in state.items()} != {name: array.shape for name, array in own.items()}:
        raise CheckpointError(
            "the saved optimizer state is of another optimizer; resume with the one that it was made with"
        )


def _scale(value: float) -> tuple[int, int]:
    """(mantissa, shift) of `value`; zeros for what is too small to be told from zero."""
    if value == 0.0:
        return 0, 0
    mantissa, shift = scale_mantissa(value)
    return (mantissa, shift) if shift <= _MAX_SHIFT else (0, 0)


def _share(beta: float) -> int:
    """1 - beta with `SHARE_BITS` fraction bits."""
    share = round((1.0 - beta) * (1 << SHARE_BITS))
    if share < _LEAST_SHARE:
        raise PeelVitError(
            f"an AdamW beta is {beta}; moments of 16 bits need one of at most {1 - 2.0**-MOMENT_SIGNIFICAND_BITS:.4f}, "
            "so lower it or update on the processor with --opt adamw"
        )
    return share


def _second_moment_code(value: float) -> int:
    """The code nearest to a second moment."""
    mantissa, exponent = math.frexp(value)
    units = exponent - _MANTISSA_BITS + EXP_AVG_SQ_FRACTION
    return encode_moment(int(math.ldexp(mantissa, _MANTISSA_BITS)), units, EXP_AVG_SQ_BITS)
