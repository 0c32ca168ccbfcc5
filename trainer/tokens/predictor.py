"""What methods with parameters of their own share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from host.errors import PeelVitError
from trainer.models.layers import initialise

Module = TypeVar("Module", bound=nn.Module)

SEED_OFFSET = 7_919
"""Added to the model's seed, so that a predictor does not begin with the same numbers as the first block."""


def seeded(make: Callable[[], Module], seed: int) -> Module:
    """What `make` builds, with float32 weights on the CPU from `seed` alone; the global generator is left alone."""
    with torch.device("meta"):
        module = make()
    module.to(torch.float32).to_empty(device="cpu")
    initialise(module, seed + SEED_OFFSET)
    return module


def check_width(x: Tensor, dim: int, name: str) -> None:
    """Refuse tokens of another width than the predictors have, as in the later stages of a PiT."""
    if x.shape[-1] != dim:
        raise PeelVitError(
            f"the predictors of {name} were made for tokens of width {dim} but the model has tokens of width "
            f"{x.shape[-1]} too; choose a model of one width, such as DeiT"
        )
