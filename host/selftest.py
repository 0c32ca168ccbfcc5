"""Mode selftest: a few tiny programs that show whether the device does what it should, in seconds and without data.

The checksum of the training step is that of the golden model; numbers do not depend on the hardware configuration, so
one value holds for all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing

import numpy as np

from hls.spec.instruction import INSTRUCTION_WORDS, Matrix, assemble, make
from hls.spec.slots import RECORD_WORDS
from hls.spec.status import Status
from host.backends import open_device
from host.device import Device
from host.errors import PeelVitError
from host.initialisation import initial_parameters
from host.model import Sparsity, ViTConfig
from host.options import Options
from host.resume import Saved
from host.runtime import Session, SessionOptions

EXPECTED_CHECKSUM = "7e50ad8cbdea79deac9b8d349e70f80ba5c3ae6242bff4f2cb2c40bdf50f307d"
"""SHA-256 of the state after `_training_step`, made with the golden device."""

_WINDOW_WORDS = 256
_MODEL = ViTConfig("selftest", 16, 4, 3, 32, 3, 2, 48, 5)
_SPARSITY = Sparsity(token_keep=0.7, attention_keep=0.6, select_before=(2, 3))
_BATCH, _STEPS = 2, 2


def selftest(options: Options, saved: Saved | None = None) -> None:
    """Run every check and print a line each; `PeelVitError` names the first that fails."""
    with closing(open_device(options)) as device:
        for name, check in _CHECKS.items():
            check(device)
            print(f"{name}: ok", flush=True)
    print(f"the {options.backend} device works")


def _refuses_empty_memory(device: Device) -> None:
    device.allocate(_WINDOW_WORDS)
    _expect(device.run(0).status, Status.BAD_MAGIC, "a start without a program")
    _expect(device.run(_WINDOW_WORDS).status, Status.PROGRAM_OUTSIDE_WINDOW, "a start outside the window")


def _refuses_foreign_configuration(device: Device) -> None:
    device.allocate(_WINDOW_WORDS)
    device.write(0, np.frombuffer(assemble([], device.config.hash ^ 1, _slot_table(), 0), np.uint8))
    _expect(device.run(0).status, Status.CONFIGURATION_MISMATCH, "a program for other hardware")


def _runs_empty_program(device: Device) -> None:
    device.allocate(_WINDOW_WORDS)
    device.write(0, np.frombuffer(assemble([], device.config.hash, _slot_table(), 0), np.uint8))
    _expect(device.run(0).status, Status.OK, "an empty program")


def _keeps_to_window(device: Device) -> None:
    """An instruction whose result would lie half outside is refused, and nothing of the window changes."""
    device.allocate(_WINDOW_WORDS)
    inside, outside = Matrix(_slot_table() + RECORD_WORDS, 2, 0), Matrix(_WINDOW_WORDS - 1, 2, 0)
    instruction = make(
        "embed_class", dimensions={"batch": 1, "n": 16}, token=inside, position=inside, x=outside
    )  # fmt: skip
    program = assemble([instruction], device.config.hash, _slot_table(), 1)
    device.write(0, np.frombuffer(program, np.uint8))
    before = device.read(0, (_WINDOW_WORDS, 16), np.uint8)
    result = device.run(0)
    _expect(result.status, Status.OUTSIDE_WINDOW, "an operand outside the window")
    if result.failed_instruction != 0 or not np.array_equal(before, device.read(0, before.shape, np.uint8)):
        raise PeelVitError("a refused instruction left traces in memory; do not use this device")


def _trains(device: Device) -> None:
    checksum = training_checksum(device)
    if checksum != EXPECTED_CHECKSUM:
        raise PeelVitError(
            f"the training step gave the checksum {checksum[:16]} instead of {EXPECTED_CHECKSUM[:16]}; "
            "the device computes wrongly, do not use it"
        )


def training_checksum(device: Device) -> str:
    """SHA-256 of weights, momenta, exponents and losses after two steps with all kinds of sparsity."""
    session = Session(device, _MODEL, _SPARSITY, SessionOptions(batch=_BATCH, label_smoothing=0.1))
    session.load_parameters(initial_parameters(_MODEL, seed=1))
    random = np.random.RandomState(1)
    images = 2 * _BATCH
    patches = random.randint(-8192, 8192, (images, _MODEL.patches, _MODEL.patch_features)).astype(np.int16)
    labels = np.arange(images) % _MODEL.classes
    session.calibrate(patches, labels)
    sha256 = hashlib.sha256()
    for _ in range(_STEPS):
        result = session.train_step(patches, labels, learning_rate=0.125, weight_decay=2**-10)
        sha256.update(result.correct.tobytes() + result.predicted.tobytes())
    for name, array in sorted(session.state().items()):
        sha256.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()


_CHECKS: dict[str, Callable[[Device], None]] = {
    "a start without a program is refused": _refuses_empty_memory,
    "a program for other hardware is refused": _refuses_foreign_configuration,
    "an empty program runs": _runs_empty_program,
    "an operand outside the window is refused": _keeps_to_window,
    "a training step agrees with the golden model": _trains,
}


def _slot_table() -> int:
    """Word of the slot table: behind the longest of the programs."""
    return 4 * INSTRUCTION_WORDS


def _expect(status: Status, wanted: Status, what: str) -> None:
    if status is not wanted:
        raise PeelVitError(f"{what} ended with {status.name} instead of {wanted.name}; do not use this device")
