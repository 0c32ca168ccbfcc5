"""Evaluation between training steps, which leaves the training exactly as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.calibration import cleared, coarsen
from host.micro_batches import Labels, Patches
from host.model import TokenPlan
from host.results import EvalResult, decode_terms
from host.runner import Runner
from host.slots import SlotTable


class Evaluator:
    """Evaluates one token plan with the weights and fractions of one moment.

    Statistics go to a slot table of its own. With `coarsen_first` the first micro-batch is run until no fraction
    saturates: with fewer tokens or keys than in training, attention probabilities are larger. `all_tokens` computes all
    rows behind the last attention.
    """

    def __init__(
        self, runner: Runner, plan: TokenPlan, table: SlotTable, *, coarsen_first: bool, all_tokens: bool = False
    ) -> None:
        self.plan, self._all_tokens = plan, all_tokens
        self._runner, self._memory, self._layout = runner, runner.memory, runner.layout
        self._table, self._coarsen_first = cleared(table), coarsen_first
        self._ready = False

    def evaluate(self, patches: Patches, labels: Labels) -> EvalResult:
        """Losses and predictions of [n, N, F] images."""
        terms, cycles, batch, count = [], 0, self._layout.use.batch, len(patches)
        saturations = -self._saturations()
        for part in self._batches(patches):
            self._runner.inputs.write_labels(_filled(labels[part], batch))
            cycles += self._runner.run(self.plan, "eval")
            terms.append(self._memory.read("terms"))
        result = decode_terms(np.concatenate(terms)[:count])
        saturations += self._saturations()
        return EvalResult(result.losses, result.correct, result.predicted, cycles, saturations)

    def logits(self, patches: Patches) -> NDArray[np.float64]:
        """Logits [n, classes]."""
        logits = []
        for _ in self._batches(patches):
            self._forward()
            logits.append(self._activation("logits"))
        return np.concatenate(logits)[: len(patches)]

    def kept_tokens(self, patches: Patches) -> list[NDArray[np.int64]]:
        """For every selector the surviving patches [n, K], as positions in the original image."""
        kept: list[list[NDArray[np.int64]]] = []
        for _ in self._batches(patches):
            self._forward()
            kept.append(self._kept())
        return [np.concatenate(parts)[: len(patches)] for parts in zip(*kept, strict=True)]

    def features(self, patches: Patches, names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Token activations by name, [n, 1 + tokens, columns]; the last block's want `all_tokens`."""
        parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
        for _ in self._batches(patches):
            self._forward()
            for name in names:
                parts[name].append(self._by_image(name))
        return {name: np.concatenate(arrays)[: len(patches)] for name, arrays in parts.items()}

    def _batches(self, patches: Patches) -> Iterator[slice]:
        """Write micro-batch after micro-batch, the last one filled up."""
        batch = self._layout.use.batch
        for start in range(0, len(patches), batch):
            part = slice(start, start + batch)
            self._runner.inputs.write_patches(_filled(patches[part], batch))
            self._prepare()
            yield part

    def _forward(self) -> None:
        self._runner.run(self.plan, "forward", all_tokens=self._all_tokens)

    def _prepare(self) -> None:
        """Put the slot table in its place, once the first micro-batch is there."""
        if self._ready:
            return
        if self._coarsen_first:
            run = partial(self._runner.run_with_slots, self.plan, "forward", self._all_tokens)
            self._table = coarsen(self._table, self._layout.slots, run)
        self._memory.write_slots(self._layout.evaluation_slots, self._table)
        self._ready = True

    def _slots(self) -> SlotTable:
        return self._memory.read_slots(self._layout.evaluation_slots) if self._ready else self._table

    def _saturations(self) -> int:
        return int(self._slots()["saturations"].sum(dtype=np.int64))

    def _kept(self) -> list[NDArray[np.int64]]:
        positions = np.tile(np.arange(self._layout.model.patches), (self._layout.use.batch, 1))
        kept = []
        for index in self.plan.selectors:
            if self.plan.prunes(index):
                chosen = self._memory.read(f"blocks.{index}.kept", columns=self.plan.blocks[index].patches)
                positions = np.take_along_axis(positions, chosen.astype(np.int64), axis=1)
            kept.append(positions)
        return kept

    def _by_image(self, name: str) -> NDArray[np.float64]:
        """A token tensor with the class row of each image in front of its patch rows."""
        batch, patches = self._layout.use.batch, self.plan.blocks[_block_of(name)].patches
        rows = self._activation(name, batch * (1 + patches))
        return np.concatenate([rows[:batch, None], rows[batch:].reshape(batch, patches, -1)], axis=1)

    def _activation(self, name: str, rows: int | None = None) -> NDArray[np.float64]:
        fraction = int(self._slots()["f"][self._layout.slot(name)])
        return np.ldexp(self._memory.read(name, rows).astype(np.float64), -fraction)


def _block_of(name: str) -> int:
    """The block whose tokens a tensor has."""
    if name.startswith("blocks."):
        return int(name.split(".")[1])
    return 0 if name == "tokens" else -1


def _filled(array: NDArray[Any], batch: int) -> NDArray[Any]:
    """`array` with its last entry repeated until there are `batch`."""
    return np.concatenate([array, np.repeat(array[-1:], batch - len(array), axis=0)])
