"""Small data sets for the tests of the loaders."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from trainer.data.dataset import Pixels, TrainingDataset


@dataclass(frozen=True)
class ToyPlan:
    """Stands in for the example selector's plan."""

    order: NDArray[np.int64]
    weights: NDArray[np.float32] | None = None


class ToySet(TrainingDataset):
    """n images of 2x2 pixels whose every pixel is the example's number; a random crop shows the random draw instead."""

    def __init__(self, n: int, fixed: bool = True) -> None:
        super().__init__("toy", ("a", "b", "c"), np.arange(n, dtype=np.int64) % 3, 2, (0.5,), (0.25,))
        self.fixed = fixed

    def read(self, indices: NDArray[np.int64]) -> Pixels:
        return np.broadcast_to(
            np.asarray(indices).astype(np.uint8)[:, None, None, None], (len(indices), 2, 2, 1)
        ).copy()

    def read_random(self, index: int, random: np.random.RandomState) -> Pixels:
        return random.randint(0, 256, (2, 2, 1)).astype(np.uint8)


@pytest.fixture(scope="session")
def toy_plan() -> type[ToyPlan]:
    return ToyPlan


@pytest.fixture(scope="session")
def toy_set() -> type[ToySet]:
    return ToySet


def encoded(number: int, kind: str = "PNG") -> bytes:
    """A picture of 20 x 16 pixels with a gradient, so that every crop of it differs."""
    ramp = np.linspace(0, 200, 16 * 20 * 3).reshape(16, 20, 3) + number
    file = io.BytesIO()
    Image.fromarray(ramp.astype(np.uint8)).save(file, kind)
    return file.getvalue()


@pytest.fixture
def encoded_picture() -> Callable[..., bytes]:
    return encoded


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """Two classes with four training pictures and one held out each."""
    root = tmp_path / "pictures"
    for split, count in (("train", 4), ("val", 1)):
        for number, name in enumerate(("cat", "dog")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for picture in range(count):
                (folder / f"{picture}.png").write_bytes(encoded(10 * number + picture))
    return root
