"""Matrix products in 16-bit floats where the device gains from them, and the gradient scaling that float16 needs."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from host.errors import PeelVitError
from trainer.options import Options


class Precision:
    """Autocast and gradient scaler of a run; with neither, both do nothing."""

    def __init__(self, options: Options, device: torch.device) -> None:
        self._device = device.type
        self._dtype = _autocast_dtype(options, device) if options.amp else None
        self.scaler = torch.amp.GradScaler(self._device, enabled=self._dtype is torch.float16)

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of a forward pass."""
        if self._dtype is None:
            return nullcontext()
        return torch.autocast(self._device, self._dtype)


def _autocast_dtype(options: Options, device: torch.device) -> torch.dtype:
    name = options.amp_dtype or ("bfloat16" if device.type == "cpu" else "float16")
    if device.type == "cpu" and name == "float16":
        raise PeelVitError("float16 needs a GPU; use --amp-dtype bfloat16 or leave it out")
    dtype: torch.dtype = getattr(torch, name)
    return dtype
