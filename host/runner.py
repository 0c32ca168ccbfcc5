"""Runs the programs of a session: compiled at first use for the tokens and keys of every block."""

from __future__ import annotations

from collections.abc import Callable

from host.compiler import Program, compile_exponent_update, compile_program
from host.device import Device, nothing
from host.layout import Layout
from host.micro_batches import MicroBatches
from host.model import TokenPlan
from host.programs import ProgramStore
from host.slots import SlotTable
from host.tensor_memory import TensorMemory


class Runner:
    """Runs programs of `layout` on `device`; `inputs` are what they work on."""

    def __init__(self, device: Device, layout: Layout, memory: TensorMemory, label_smoothing: float) -> None:
        self.layout, self.memory = layout, memory
        self.inputs = MicroBatches(memory, layout)
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
        place: int = 0,
        work: Callable[[], None] = nothing,
    ) -> int:
        """Run the micro-batch at `place`, with `work` beside it; arguments as of `compile_program`. Clock cycles."""

        def compile_it() -> Program:
            return compile_program(
                self.layout.reading(place),
                plan,
                mode=mode,
                accumulate=accumulate,
                update_images=update_images,
                label_smoothing=self._smoothing,
                all_tokens=all_tokens,
            )

        return self._programs.run((plan, mode, accumulate, update_images, all_tokens, place), compile_it, work)

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
