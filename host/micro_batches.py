"""Micro-batches in device memory: two places, so that one is written while a program reads the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.errors import PeelVitError
from host.layout import INPUTS, Layout
from host.tensor_memory import TensorMemory

Patches = NDArray[np.int16]
Labels = NDArray[np.integer[Any]]
Coming = Callable[[], "tuple[Patches, Labels] | None"]
"""Gives the arrays of the next optimizer step, or None when they are not known."""


def nothing_coming() -> None:
    """The next step is not known."""


@dataclass(frozen=True, eq=False)
class MicroBatch:
    """`patches` int16 [B, N, F] and `labels` [B] of a training run. It must not change once it is placed."""

    patches: Patches
    labels: Labels


class Steps:
    """Optimizer steps cut into micro-batches of `batch` images; a step that was announced is cut once."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._announced: tuple[Patches, Labels, list[MicroBatch]] | None = None

    def take(self, patches: Patches, labels: Labels) -> list[MicroBatch]:
        """A step's micro-batches: those announced when these are the same arrays."""
        announced, self._announced = self._announced, None
        if announced is not None and announced[0] is patches and announced[1] is labels:
            return announced[2]
        return self._cut(patches, labels)

    def announce(self, patches: Patches, labels: Labels) -> MicroBatch:
        """The first micro-batch of the step to come."""
        parts = self._cut(patches, labels)
        self._announced = patches, labels, parts
        return parts[0]

    def _cut(self, patches: Patches, labels: Labels) -> list[MicroBatch]:
        batch, images = self._batch, len(patches)
        if images % batch or not images:
            raise PeelVitError(f"a step of {images} images is not a whole number of micro-batches of {batch}")
        return [MicroBatch(patches[i : i + batch], labels[i : i + batch]) for i in range(0, images, batch)]


class MicroBatches:
    """Which micro-batch of training lies in which place.

    Place 0 is where runs without a second one have their inputs. `place` writes to the place that the last
    micro-batch does not lie in, so it may be called for the next one while that one is run.
    """

    def __init__(self, memory: TensorMemory, layout: Layout) -> None:
        self._memory, self._layout = memory, layout
        self._held: list[MicroBatch | None] = [None] * len(INPUTS)
        self._latest = 0

    def place(self, batch: MicroBatch) -> int:
        """The place of a micro-batch, written unless it is there already; `PeelVitError` for a wrong shape or class."""
        if batch not in self._held:
            other = 1 - self._latest
            self._held[other] = None
            self._write_patches(batch.patches, other)
            self._write_labels(batch.labels, other)
            self._held[other] = batch
        self._latest = self._held.index(batch)
        return self._latest

    def write_patches(self, patches: Patches) -> None:
        """Write images to place 0, int16 [B, N, F]; `PeelVitError` for another shape."""
        self._held[0] = None
        self._write_patches(patches, 0)

    def write_labels(self, labels: Labels) -> None:
        """Write labels to place 0, [B]; `PeelVitError` for a class that the model does not have."""
        self._held[0] = None
        self._write_labels(labels, 0)

    def _write_patches(self, patches: Patches, place: int) -> None:
        model, batch = self._layout.model, self._layout.use.batch
        expected = (batch, model.patches, model.patch_features)
        if patches.shape != expected:
            raise PeelVitError(
                f"{model.name} takes patches of shape {list(expected)} but got {list(patches.shape)}; "
                "give images of the model's size in whole micro-batches"
            )
        self._memory.write(INPUTS[place].patches, patches.reshape(-1, model.patch_features))

    def _write_labels(self, labels: Labels, place: int) -> None:
        classes = self._layout.model.classes
        if labels.min() < 0 or labels.max() >= classes:
            raise PeelVitError(
                f"a label is outside 0 to {classes - 1}; choose a model with as many classes as the data"
            )
        self._memory.write(INPUTS[place].labels, labels.reshape(1, -1))
