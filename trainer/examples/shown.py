"""What was shown in this epoch so far: kept on the device, gathered over the ranks and fetched once an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from host.errors import CheckpointError, PeelVitError
from trainer import distributed
from trainer.scoring import Presentations

Rows = dict[str, NDArray[Any]]
"""Columns by name, each [presentations], in the order shown: `indices` int64, `correct` bool, others float32."""


class Shown:
    """A growing table of presentations, one row each: the example and some fields of `Presentations`.

    Rows are 32-bit words (floats by their bits), so one table is one transfer. The table on the device holds what this
    rank recorded; the one on the host, the same on every rank, what was gathered from all of them earlier in the epoch.
    """

    def __init__(self, columns: tuple[str, ...], n: int) -> None:
        """Arguments: the fields of `Presentations` wanted beside `indices`, and examples in the data set."""
        if n >= 2**31:
            raise PeelVitError(f"the training set has {n} images, more than 2^31 - 1; give a smaller one")
        self._columns, self._n = columns, n
        self._table: Tensor | None = None  # int32 [capacity, 1 + columns], made on the device of the first rows
        self._calls: list[tuple[int, int]] = []  # (step, rows) of each call
        self._used = 0
        self._host = np.empty((0, 1 + len(columns)), np.int32)

    def append(self, shown: Presentations, step: int | None = None) -> None:
        """Add a batch, without waiting for the device."""
        words = [shown.indices.to(torch.int32)] + [_words(getattr(shown, name)) for name in self._columns]
        rows = torch.stack(words, dim=1)
        if step is None:
            step = self._calls[-1][0] + 1 if self._calls else 0
        self._calls.append((step, len(rows)))
        self._room(len(rows), rows.device)[...] = rows
        self._used += len(rows)

    def _room(self, count: int, device: torch.device) -> Tensor:
        """The next `count` rows of the table, which doubles when it is full."""
        end = self._used + count
        if self._table is None:
            capacity = max(end, -(-self._n // distributed.world_size()) + count)
            self._table = torch.empty((capacity, 1 + len(self._columns)), dtype=torch.int32, device=device)
        elif end > len(self._table):
            larger = self._table.new_empty((max(end, 2 * len(self._table)), self._table.shape[1]))
            larger[: self._used] = self._table[: self._used]
            self._table = larger
        return self._table[self._used : end]

    def gathered(self) -> NDArray[np.int32]:
        """All words of the epoch so far, of all ranks: by step, then rank, then the rank's own order. Collective.

        Rank r of a step holds the r-th part of its global batch, so this is the order of one process doing it all.
        """
        if self._calls:
            self._host = np.concatenate([self._host, self._gather()])
            self._calls.clear()
            self._used = 0
        return self._host.copy()

    def _gather(self) -> NDArray[np.int32]:
        assert self._table is not None
        rows = self._table[: self._used]
        if distributed.world_size() > 1:
            steps, counts = torch.tensor(self._calls, device=rows.device).unbind(dim=1)
            own = {"rows": rows, "steps": torch.repeat_interleave(steps, counts)}
            every = distributed.gather_rows(own)
            rows = every["rows"][torch.argsort(every["steps"], stable=True)]
        fetched: NDArray[np.int32] = rows.cpu().numpy()
        return fetched

    def take(self) -> Rows:
        """The whole epoch, of all ranks, in the order shown; the next one starts empty. Collective."""
        words = self.gathered()
        self._host = self._host[:0]
        return _rows(words, self._columns)

    def restore(self, words: NDArray[Any]) -> None:
        """Continue an epoch of which `words` was `gathered`."""
        if words.dtype != np.int32 or words.shape[1:] != self._host.shape[1:]:
            raise CheckpointError(
                "what was shown in the checkpoint's epoch is of another form; resume from another checkpoint"
            )
        self._host = words.copy()
        self._calls.clear()
        self._used = 0


def _words(column: Tensor) -> Tensor:
    """Truth values as 0 and 1, numbers as the bits of their float32."""
    return column.to(torch.int32) if column.dtype == torch.bool else column.to(torch.float32).view(torch.int32)


def _rows(words: NDArray[np.int32], columns: tuple[str, ...]) -> Rows:
    rows: Rows = {"indices": words[:, 0].astype(np.int64)}
    for number, name in enumerate(columns, 1):
        column = np.ascontiguousarray(words[:, number])
        rows[name] = column.astype(np.bool_) if name == "correct" else column.view(np.float32)
    return rows
