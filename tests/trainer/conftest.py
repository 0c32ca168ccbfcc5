"""Small models for the trainer's tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class ToyShape:
    image_size: int = 12
    patch_size: int = 4
    channels: int = 3
    dim: int = 12
    depth: int = 4
    heads: int = 3
    mlp_hidden: int = 20
    classes: int = 5


@pytest.fixture
def toy_shape() -> Callable[..., ToyShape]:
    return ToyShape


@pytest.fixture
def deit_tiny() -> ToyShape:
    return ToyShape(224, 16, 3, dim=192, depth=12, heads=3, mlp_hidden=768, classes=1000)
