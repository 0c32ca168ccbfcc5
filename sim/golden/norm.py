"""How layernorm hands a row's inverse deviation to its backward: ``e << 20 | m``, meaning m * 2**-16 * 2**-e."""

from __future__ import annotations

from torch import Tensor

INVERSE_ROOT_BITS = 16
_EXPONENT_SHIFT = 20
_MANTISSA_BITS = 17


def packed(m: Tensor, e: Tensor) -> Tensor:
    """One integer of mantissa and exponent."""
    return e << _EXPONENT_SHIFT | m


def unpacked(rstd: Tensor) -> tuple[Tensor, Tensor]:
    """Mantissa (17 bits) and exponent (0 to 31) of int32 words, as int64."""
    return rstd.long() & ((1 << _MANTISSA_BITS) - 1), (rstd.long() >> _EXPONENT_SHIFT).clamp(0, 31)
