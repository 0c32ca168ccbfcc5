"""Runs the programs of a session: compiled at first use for the tokens and keys of every block."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.compiler import Program, compile_exponent_update, compile_program
from host.device import Device
from host.errors import PeelVitError
from host.layout import Layout
from host.model import TokenPlan
from host.programs import ProgramStore
from host.slots import SlotTable
from host.tensor_memory import TensorMemory

Patches = NDArray[np.int16]
Labels = NDArray[np.integer[Any]]


class Runner:
    """Writes micro-batches and runs programs of `layout` on `device`."""

    def __init__(self, device: Device, layout: Layout, memory: TensorMemory, label_smoothing: float) -> None:
        self.layout, self.memory = layout, memory
        self._smoothing = label_smoothing
        self._programs = ProgramStore(device, layout.programs)

    def run(
        self,
        plan: TokenPlan,
        mode: str,
        *,
        accumulate: bool = False,
        update_images: int | None = None,
        all_tokens: bool = False,
    ) -> int:
        """Run one micro-batch; arguments as of `compile_program`. Clock cycles."""

        def compile_it() -> Program:
            return compile_program(
                self.layout,
                plan,
                mode=mode,
                accumulate=accumulate,
                update_images=update_images,
                label_smoothing=self._smoothing,
                all_tokens=all_tokens,
            )

        return self._programs.run((plan, mode, accumulate, update_images, all_tokens), compile_it)

    def run_exponent_update(self) -> int:
        """Run the exponents' part of an optimizer step. Clock cycles."""
        return self._programs.run("exponent update", lambda: compile_exponent_update(self.layout))

    def run_with_slots(self, plan: TokenPlan, mode: str, all_tokens: bool, table: SlotTable) -> SlotTable:
        """Run one micro-batch from a slot table; the table that it leaves."""
        layout = self.layout
        region = layout.training_slots if mode == "train" else layout.evaluation_slots
        self.memory.write_slots(region, table)
        self.run(plan, mode, all_tokens=all_tokens)
        return self.memory.read_slots(region)

    def write_patches(self, patches: Patches) -> None:
        """Write the images of a micro-batch, int16 [B, N, F]; `PeelVitError` for another shape."""
        model, batch = self.layout.model, self.layout.use.batch
        expected = (batch, model.patches, model.patch_features)
        if patches.shape != expected:
            raise PeelVitError(
                f"{model.name} takes patches of shape {list(expected)} but got {list(patches.shape)}; "
                "give images of the model's size in whole micro-batches"
            )
        self.memory.write("patches", patches.reshape(-1, model.patch_features))

    def write_labels(self, labels: Labels) -> None:
        """Write the labels of a micro-batch, [B]; `PeelVitError` for a class that the model does not have."""
        classes = self.layout.model.classes
        if labels.min() < 0 or labels.max() >= classes:
            raise PeelVitError(
                f"a label is outside 0 to {classes - 1}; choose a model with as many classes as the data"
            )
        self.memory.write("labels", labels.reshape(1, -1))
