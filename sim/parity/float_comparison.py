"""Golden model against float64 on the same weights, images and selections: activations and gradients, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from hls.spec.config import HardwareConfig
from host.model import Sparsity, ViTConfig
from host.parameters import FloatArray, device_parameters, to_timm
from host.runtime import Session, SessionOptions
from host.slots import INPUT_FRACTION, SlotTable
from sim.golden.device import GoldenDevice
from sim.workload import LEARNING_RATE, MOMENTUM, WEIGHT_DECAY, Batch, as_float
from trainer.keep import DENSE, Forced
from trainer.models.vit import VisionTransformer, VitShape
from trainer.tokens.trilevel import TokenAttentionSelector

LARGEST_ERROR = 0.01
"""Relative error (Frobenius norms) that every weight gradient and every block's output must stay below."""
SMALLEST_COSINE = 0.9999
MEMORY_LIMIT = 4 << 30
"""A session that traces gives every tensor memory of its own."""


@dataclass(frozen=True)
class Likeness:
    """How close a fixed-point tensor is to its float64 reference."""

    error: float
    cosine: float

    @property
    def passes(self) -> bool:
        """Within the stated tolerances."""
        return self.error < LARGEST_ERROR and self.cosine > SMALLEST_COSINE


def likeness(value: NDArray[np.float64], reference: NDArray[np.float64]) -> Likeness:
    """Relative error and cosine; two zero tensors are alike."""
    norm, product = float(np.linalg.norm(reference)), float(np.linalg.norm(value) * np.linalg.norm(reference))
    if product == 0.0:
        alike = not value.any() and not reference.any()
        return Likeness(0.0, 1.0) if alike else Likeness(float("inf"), 0.0)
    return Likeness(float(np.linalg.norm(value - reference)) / norm, float(np.vdot(value, reference)) / product)


def compare_with_float(
    config: HardwareConfig, model: ViTConfig, sparsity: Sparsity, batches: Iterator[Batch], steps: int, seed: int
) -> bool:
    """Print the table at initialisation and, with `steps`, after so many of them; whether all tolerances hold."""
    first = next(batches)
    settings = SessionOptions(len(first.labels), memory_limit=MEMORY_LIMIT, trace=True)
    places = tuple(index + 1 for index in sparsity.plan(model).selectors)
    reference = VisionTransformer(cast(VitShape, model), TokenAttentionSelector(places), seed).double()
    with closing(Session(GoldenDevice(config), model, sparsity, settings)) as session:
        session.load_parameters({name: tensor.float().numpy() for name, tensor in reference.state_dict().items()})
        session.calibrate(*first)
        columns = {"at initialisation": compare_step(session, reference, first)}
        for _ in tqdm(range(steps - 1), unit="step", disable=None):
            _train(session, next(batches))
        if steps:
            columns[f"after {steps} steps"] = compare_step(session, reference, next(batches))
    print(_table(columns))
    failures = [name for column in columns.values() for name, row in column.items() if not row.passes]
    bounds = f"relative error below {LARGEST_ERROR:.0%} and cosine above {SMALLEST_COSINE}"
    print(f"{len(failures)} outside {bounds}: {', '.join(failures)}" if failures else f"all within: {bounds}")
    return not failures


def compare_step(session: Session, reference: VisionTransformer, batch: Batch) -> dict[str, Likeness]:
    """One training step on `session`; its tensors against the same forward and backward pass in float64."""
    state = session.export_float()
    reference.load_state_dict({name: torch.from_numpy(array).double() for name, array in state.items()})
    _train(session, batch)
    table = session.memory.read_slots(session.layout.training_slots)
    record = _float_step(session, reference, batch)
    rows = {f"blocks.{i}.out": _block_output(session, table, record, i) for i in range(session.model.depth)}
    gradients = _gradients(session, table)
    for name, parameter in reference.named_parameters():
        if parameter.ndim > 1:
            assert parameter.grad is not None
            rows[f"gradient of {name}"] = likeness(gradients[name].astype(np.float64), parameter.grad.numpy())
    return rows


def _train(session: Session, batch: Batch) -> None:
    session.train_step(*batch, learning_rate=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)


def _float_step(session: Session, reference: VisionTransformer, batch: Batch) -> dict[str, Tensor]:
    """Forward and backward of the summed loss, with the selections that the session made; the recorded tensors."""
    reference.zero_grad()
    record: dict[str, Tensor] = {}
    kept, keys = selections(session)
    patches = torch.from_numpy(as_float(batch.patches, INPUT_FRACTION))
    output = reference(patches, Forced(kept, keys) if kept else DENSE, record=record)
    loss = functional.cross_entropy(output.logits, torch.from_numpy(batch.labels), reduction="sum")
    torch.autograd.backward([loss])
    return record


def selections(session: Session) -> tuple[list[Tensor], list[Tensor | None]]:
    """What each selector chose for the last micro-batch of a session that traces: kept patches and patch keys."""
    plan, images = session.plan, session.options.batch
    kept: list[Tensor] = []
    keys: list[Tensor | None] = []
    for index in plan.selectors:
        block = plan.blocks[index]
        own = np.tile(np.arange(block.patches), (images, 1))
        if plan.prunes(index):
            own = session.memory.read(f"blocks.{index}.kept", columns=block.patches).astype(np.int64)
        kept.append(torch.from_numpy(own))
        # The last block computes its class row only, which reads all keys.
        listed = plan.selects_keys(index) and index < session.model.depth - 1
        keys.append(_keys(session, index) if listed else None)
    return kept, keys


def _keys(session: Session, index: int) -> Tensor:
    block, images = session.plan.blocks[index], session.options.batch
    rows = session.memory.read(f"blocks.{index}.keys", images * block.patches, block.key_count)
    return torch.from_numpy(rows.astype(np.int64).reshape(images, block.patches, -1))


def _stored_fraction(session: Session, table: SlotTable, name: str) -> int:
    """Fraction at which a tensor was stored in the last step: the exponent update at its end has set the next one."""
    return int(table["f_previous"][session.layout.slot(name)])


def _block_output(session: Session, table: SlotTable, record: dict[str, Tensor], index: int) -> Likeness:
    """All rows of a block's output; of the last block the class rows, which alone are computed."""
    name, images = f"blocks.{index}.out", session.options.batch
    tokens = 1 if index == session.model.depth - 1 else 1 + session.plan.blocks[index].patches
    value = as_float(session.memory.read(name, images * tokens), _stored_fraction(session, table, name))
    rows = record[name].detach()[:, :tokens]
    reference = torch.cat([rows[:, 0], rows[:, 1:].flatten(0, 1)])
    return likeness(value, reference.numpy())


def _gradients(session: Session, table: SlotTable) -> dict[str, NDArray[np.float32]]:
    """Weight gradients, summed over the images, in timm's shapes."""
    matrices: dict[str, FloatArray] = {}
    for parameter in device_parameters(session.model):
        name = f"grad.{parameter.name}"
        matrices[parameter.name] = as_float(session.memory.read(name), _stored_fraction(session, table, name))
    return to_timm(session.model, matrices)


def _table(columns: dict[str, dict[str, Likeness]]) -> str:
    names: list[Any] = list(next(iter(columns.values())))
    width = max(map(len, names))
    lines = [" " * width + "".join(f"  {title:>26}" for title in columns)]
    lines.append(" " * width + "  relative error      cosine" * len(columns))
    for name in names:
        cells = [f"  {column[name].error:14.6f}  {column[name].cosine:10.7f}" for column in columns.values()]
        lines.append(f"{name:{width}}" + "".join(cells))
    return "\n".join(lines)
