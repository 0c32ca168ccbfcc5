"""What a micro-batch gives back, read from the integers that the device leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hls.spec.formats import EXPONENTIAL_BITS

Int32Array = NDArray[np.int32]
Float64Array = NDArray[np.float64]

_TARGET_DISTANCE_BITS = 16


@dataclass(frozen=True)
class Terms:
    """Of each image: its loss, whether the prediction is right, and the predicted class; all [B]."""

    losses: Float64Array
    correct: NDArray[np.bool_]
    predicted: NDArray[np.int64]


@dataclass(frozen=True)
class StepResult:
    """One training step over all its micro-batches.

    Attributes:
        losses: float64 [n], cross-entropy of each image.
        correct: bool [n].
        predicted: int64 [n].
        attention_variance: float64 [n], population variance of the last block's head-mean class row over its patches.
        cycles: of all programs of the step.
        saturations: stored values that exceeded their range.
    """

    losses: Float64Array
    correct: NDArray[np.bool_]
    predicted: NDArray[np.int64]
    attention_variance: Float64Array
    cycles: int
    saturations: int


@dataclass(frozen=True)
class EvalResult:
    """An evaluation: as `StepResult`, without what only training has."""

    losses: Float64Array
    correct: NDArray[np.bool_]
    predicted: NDArray[np.int64]
    cycles: int
    saturations: int


def decode_terms(terms: Int32Array) -> Terms:
    """Losses and predictions from the records [B, 8] of `cross_entropy`."""
    exponentials = np.ldexp(terms[:, 0].astype(np.float64), -EXPONENTIAL_BITS)
    distance = np.ldexp(terms[:, 1].astype(np.float64), -_TARGET_DISTANCE_BITS)
    return Terms(np.log(exponentials) + distance, terms[:, 3] == 1, terms[:, 2].astype(np.int64))


def decode_variance(records: Int32Array, heads: int) -> Float64Array:
    """Variances of the head-mean class row from the records [B, 8] of `class_variance`, which sum over heads."""
    low, high = records[:, 0].view(np.uint32).astype(np.float64), records[:, 1].astype(np.float64)
    fraction, patches = records[:, 2], records[:, 3].astype(np.float64)
    return np.ldexp(high * 2.0**32 + low, -2 * fraction) / (patches * heads) ** 2
