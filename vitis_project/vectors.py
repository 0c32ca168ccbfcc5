"""Golden vectors of the C-simulation test bench: memory windows before and after programs, from the golden model.

A vector file is little-endian 32-bit words: magic, window words, program (a word address), expected status, then the
window before and the window after the run. The three cases:

    refused    a program of another hardware configuration: the status says so and no word changes
    inference  logits of one image
    training   a whole training step of a model with token pruning and sparse attention
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hls.spec.config import HardwareConfig
from hls.spec.formats import WORD_BYTES
from hls.spec.instruction import HEADER
from host.device import Counters, RunResult
from host.model import Sparsity, parse_model
from host.runtime import Session, SessionOptions
from sim.golden.device import GoldenDevice
from sim.workload import random_batch, random_parameters

MAGIC = 0x31434556  # "VEC1"
MODEL = "vit:image=12,patch=3,dim=24,depth=3,heads=2,mlp=28,classes=7"
SPARSITY = Sparsity(0.7, 0.5, (2,))
"""Tokens leave before the third block; half of the attention connections stay."""
SEED, BATCH = 5, 2
FOREIGN_HASH = HEADER.index("hash_low")


@dataclass(frozen=True)
class Vector:
    """One start of the accelerator: what memory holds before and after, and the status that it ends with."""

    name: str
    program: int
    status: int
    before: bytes
    after: bytes

    @property
    def data(self) -> bytes:
        """The vector's file."""
        head = struct.pack("<4I", MAGIC, len(self.before) // WORD_BYTES, self.program, self.status)
        return head + self.before + self.after


@dataclass
class RecordingDevice:
    """A golden `host.device.Device` that keeps the window before and after every run."""

    golden: GoldenDevice
    runs: list[tuple[int, int, bytes, bytes]] = field(default_factory=list)
    words: int = 0

    def __post_init__(self) -> None:
        self.config = self.golden.config

    def allocate(self, words: int) -> None:
        """See `host.device.Device`."""
        self.words = words
        self.golden.allocate(words)

    def write(self, address: int, data: npt.NDArray[np.generic]) -> None:
        """See `host.device.Device`."""
        self.golden.write(address, data)

    def read(self, address: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
        """See `host.device.Device`."""
        return self.golden.read(address, shape, dtype)

    def run(self, program: int) -> RunResult:
        """See `host.device.Device`."""
        before = self.window()
        result = self.golden.run(program)
        self.runs.append((program, int(result.status), before, self.window()))
        return result

    def counters(self) -> Counters:
        """See `host.device.Device`."""
        return self.golden.counters()

    def close(self) -> None:
        """See `host.device.Device`."""
        self.golden.close()

    def window(self) -> bytes:
        """All bytes of the window."""
        return self.read(0, (self.words * WORD_BYTES,), np.uint8).tobytes()


def vectors(config: HardwareConfig) -> list[Vector]:
    """The cases for a configuration, the same bytes whenever they are made; a step of several starts is several."""
    model = parse_model(MODEL)
    device = RecordingDevice(GoldenDevice(config))
    session = Session(device, model, SPARSITY, SessionOptions(BATCH))
    session.load_parameters(random_parameters(model, SEED))
    batch = random_batch(model, BATCH, SEED)
    session.calibrate(*batch)
    device.runs.clear()
    session.logits(batch.patches[:1])
    inference = _named("inference", device)
    session.train_step(*batch, learning_rate=0.02, weight_decay=1e-3)
    training = _named("training", device)
    return [_refused(device, inference[0]), *inference, *training]


def _named(name: str, device: RecordingDevice) -> list[Vector]:
    runs, device.runs = device.runs, []
    names = [name if len(runs) == 1 else f"{name}{index}" for index in range(len(runs))]
    return [Vector(n, *run) for n, run in zip(names, runs, strict=True)]


def _refused(device: RecordingDevice, vector: Vector) -> Vector:
    """The same program as if it had been compiled for another hardware configuration."""
    foreign = bytearray(vector.before)
    foreign[vector.program * WORD_BYTES + 4 * FOREIGN_HASH] ^= 1
    device.write(0, np.frombuffer(bytes(foreign), np.uint8))
    device.run(vector.program)
    return _named("refused", device)[0]
