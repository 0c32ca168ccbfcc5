"""Programs for the benches: recorded from the host's own runtime on the golden model, with the windows around them."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hls.spec.config import HardwareConfig
from hls.spec.formats import WORD_BYTES
from hls.spec.instruction import FIELDS, HEADER, assemble, disassemble


@dataclass(frozen=True)
class Recorded:
    """One start: the window before it, and as golden leaves it.

    Attributes:
        modelled: cycles of the C simulation.
        instructions: that ran.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    program: int
    modelled: int
    instructions: int


def load_recorded(path: Path) -> Recorded:
    """As `save` wrote it."""
    with np.load(path) as file:
        program, modelled, instructions = (int(value) for value in file["numbers"])
        return Recorded(file["before"], file["after"], program, modelled, instructions)


def save(path: Path, recorded: Recorded) -> None:
    """Write for the simulator's process."""
    numbers = [recorded.program, recorded.modelled, recorded.instructions]
    scratch = path.with_name(f"{path.stem}.{os.getpid()}.npz")
    np.savez(scratch, before=recorded.before, after=recorded.after, numbers=np.array(numbers, np.int64))
    os.replace(scratch, path)


def record(config: HardwareConfig) -> dict[str, Recorded]:
    """A small model, pruned: `inference`, `train`, and `outside`, an inference with one bad operand."""
    # Imported here: the simulator's process has no use for them.
    from host.model import Sparsity, parse_model
    from host.runtime import Session, SessionOptions
    from sim.rtl.bench.recorder import Recorder
    from sim.workload import random_batch, random_parameters

    model = parse_model("vit:image=6,patch=3,dim=8,depth=2,heads=1,mlp=8,classes=3,channels=1")
    device = Recorder(config)
    session = Session(device, model, Sparsity(0.7, 0.5, (2,)), SessionOptions(2))
    session.load_parameters(random_parameters(model, 1))
    session.calibrate(*random_batch(model, 2, 1))
    session.train_step(*random_batch(model, 2, 2), learning_rate=0.02, weight_decay=1e-3)
    train = device.starts[-1]
    session.logits(random_batch(model, 2, 3).patches)
    inference = device.starts[-1]
    device.write(0, with_bad_operand(inference, config))
    device.run(inference.program)
    return {"train": train, "inference": inference, "outside": device.starts[-1]}


def with_bad_operand(recorded: Recorded, config: HardwareConfig) -> NDArray[np.uint8]:
    """The window with the last operand of the program's middle instruction at its end, and a checksum that fits."""
    start = recorded.program * WORD_BYTES
    data = recorded.before[start:].tobytes()
    header = dict(zip(HEADER, struct.unpack_from(f"<{FIELDS}I", data), strict=False))
    instructions = disassemble(data)
    middle = len(instructions) // 2
    chosen = instructions[middle]
    name, matrix = list(chosen.operands.items())[-1]
    outside = replace(matrix, address=recorded.before.size // WORD_BYTES)
    instructions[middle] = replace(chosen, operands=chosen.operands | {name: outside})
    program = assemble(instructions, config.hash, header["slot_table"], header["slots"])
    window = recorded.before.copy()
    window[start : start + len(program)] = np.frombuffer(program, np.uint8)
    return window
