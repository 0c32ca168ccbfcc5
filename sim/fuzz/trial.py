"""One trial: a program is mutated, run between guard zones, and its end compared with the specification's verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hls.spec.formats import WORD_BYTES
from hls.spec.instruction import INSTRUCTION_WORDS, assemble, make
from host.compiler import compile_program
from host.device import Device, RunResult
from host.layout import Layout, plan_layout
from host.model import Sparsity, TokenPlan, ViTConfig
from host.tensors import Use
from sim.fuzz.mutation import mutate
from sim.fuzz.verdict import Verdict, verdict
from sim.workload import as_bytes, load_model

MODEL = ViTConfig("fuzz", image_size=6, patch_size=2, channels=1, dim=12, depth=3, heads=2, mlp_hidden=20, classes=5)
"""Small, so that the window is: that bounds the work which a mutated shape can ask for."""
SPARSITY = Sparsity(0.7, 0.5, (2,))
ROOM_WORDS = 3 * INSTRUCTION_WORDS
"""What a mutated program may be longer than the sound one."""
MISPLACED = 0.03
"""Part of the runs that start at a random address."""


class VerdictError(Exception):
    """A run did not end as the specification says."""


@dataclass(frozen=True)
class Base:
    """A sound program in its window: all of the memory, where the program starts, and its bytes."""

    name: str
    memory: NDArray[np.uint8]
    program: int
    data: bytes


def compiled_bases(device: Device) -> list[Base]:
    """Programs of every op: a sparse training step with its update, an evaluation, and the ops outside a ViT's step."""
    plan = SPARSITY.plan(MODEL)
    layout = plan_layout(device.config, MODEL, Use(batch=2, selectors=plan.selectors))
    load_model(device, layout, seed=0)
    programs = {
        "train": compile_program(layout, plan, accumulate=True, update_images=2, label_smoothing=0.1).data,
        "eval": compile_program(layout, plan, mode="eval").data,
        "vector": _vector_program(layout, plan),
    }
    memory = device.read(0, (layout.memory.bytes,), np.uint8).view(np.uint8)
    return [_base(name, memory, layout.programs.address, data) for name, data in programs.items()]


def _base(name: str, memory: NDArray[np.uint8], program: int, data: bytes) -> Base:
    memory = memory.copy()
    memory[program * WORD_BYTES :][: len(data)] = as_bytes(data)
    return Base(name, memory, program, data)


def _vector_program(layout: Layout, plan: TokenPlan) -> bytes:
    """The ops that no step of a ViT uses, on tensors of the right size."""
    rows, n = layout.use.batch * (1 + plan.blocks[0].patches), MODEL.mlp_hidden
    x, y, dy = (layout.matrix(name) for name in ("blocks.0.mlp.fc1", "blocks.0.mlp.gelu", "d.blocks.0.mlp.fc1"))
    forward = {"rows": rows, "n": n}
    backward = forward | {"split": layout.use.batch}
    instructions = [
        make("gelu", dimensions=forward, x=x, y=y),
        make("gelu_backward", dimensions=backward, dy=dy, x=x, dx=dy),
        make("softmax", dimensions=forward, immediates={"scale": 1 << 20}, x=x, y=y),
        make("softmax_backward", dimensions=backward, dy=dy, y=y, dx=dy),
    ]
    return assemble(instructions, layout.config.hash, layout.training_slots.address, layout.slots.count)


def run_trial(device: Device, base: Base, seed: int) -> RunResult:
    """Run the mutation `seed` of `base` on a device with its window allocated; `VerdictError` when it ends wrongly."""
    memory, start = mutated_window(base, seed)
    wanted = verdict(memory.tobytes(), start, device.config)
    device.write(0, memory)
    result = device.run(start)
    if wanted.certain and (result.status, result.failed_instruction) != (wanted.status, _index(wanted, result)):
        raise VerdictError(
            f"{base.name}: the device ended with {result.status.name} at instruction {result.failed_instruction}, "
            f"the specification says {wanted.status.name} at {wanted.failed_instruction}"
        )
    return result


def _index(wanted: Verdict, result: RunResult) -> int:
    """The index that the result must show; without a failure it means nothing."""
    return wanted.failed_instruction if wanted.status else result.failed_instruction


def mutated_window(base: Base, seed: int) -> tuple[NDArray[np.uint8], int]:
    """The window with the mutated program, and the word where the run starts."""
    rng = np.random.default_rng(seed)
    window_words = len(base.memory) // WORD_BYTES
    data = as_bytes(mutate(base.data, rng, window_words))
    memory, place = base.memory.copy(), base.program * WORD_BYTES
    data = data[: len(memory) - place]
    memory[place : place + len(data)] = data
    return memory, int(rng.integers(1 << 32)) if rng.random() < MISPLACED else base.program
