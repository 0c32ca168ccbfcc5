"""Fractions from a first batch: run it, read how large the values were, set the fractions, until nothing saturates.

A slot records the size of what was to be stored, before saturation, so that one run tells the right fraction of every
tensor whose inputs were right; each further run puts right what stood behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from hls.spec.slots import EMPTY, F_MAX, F_MIN
from host.errors import PeelVitError
from host.slots import MARGIN, Slots, SlotTable
from host.tensors import Group

MAX_RUNS = 64
"""Runs after which the fractions must have settled; a handful are usual."""

Run = Callable[[SlotTable], SlotTable]
"""Runs the batch with a slot table and gives the table as it was left."""


def calibrate(table: SlotTable, slots: Slots, run: Run, headroom: Mapping[Group, int]) -> SlotTable:
    """The table with fractions that fit what `run` computes, statistics cleared and histories begun.

    `headroom` are bits kept free on top of the usual margin, by kind of tensor. Slots that saw only zeros keep their
    fraction. Raises `PeelVitError` when the fractions do not settle.
    """
    for _ in range(MAX_RUNS):
        seen = run(cleared(table))
        wanted = _wanted_fractions(seen, slots, headroom)
        if not _saturated(seen, slots) and np.all(np.abs(wanted - table["f"]) <= 1):
            return _begin_history(table, seen, slots)
        table["f"] = wanted
    raise PeelVitError(
        f"the number formats did not settle in {MAX_RUNS} runs of the first batch; check the loaded weights and images"
    )


def coarsen(table: SlotTable, slots: Slots, run: Run) -> SlotTable:
    """The table with the fractions of saturated slots made coarse enough for what `run` computes, others as they are.

    For an evaluation with fewer tokens or keys than in training, whose attention probabilities are larger.
    """
    table = cleared(table)
    for _ in range(MAX_RUNS):
        seen = run(cleared(table))
        saturated = seen["saturations"] > 0
        if not _saturated(seen, slots):
            break
        coarser = np.minimum(table["f"], _wanted_fractions(seen, slots, {}))
        table["f"] = np.where(saturated, coarser, table["f"])
    return table


def cleared(table: SlotTable) -> SlotTable:
    """A copy of the table without statistics."""
    table = table.copy()
    table["peak"] = EMPTY
    table["saturations"] = 0
    return table


def _wanted_fractions(seen: SlotTable, slots: Slots, headroom: Mapping[Group, int]) -> NDArray[np.int32]:
    wanted = seen["f"].copy()
    for group, part in slots.updated.items():
        peak = seen["peak"][part.slice]
        fraction = np.clip(part.bits - MARGIN - headroom.get(group, 0) - peak, F_MIN, F_MAX)
        wanted[part.slice] = np.where(peak > EMPTY, fraction, wanted[part.slice])
    return wanted


def _saturated(seen: SlotTable, slots: Slots) -> bool:
    return any(bool(seen["saturations"][part.slice].any()) for part in slots.updated.values())


def _begin_history(table: SlotTable, seen: SlotTable, slots: Slots) -> SlotTable:
    """Histories start with the largest peak for which the fractions leave their margin."""
    table = table.copy()
    table["f_previous"] = table["f"]
    for part in slots.updated.values():
        peak = part.bits - MARGIN - table["f"][part.slice]
        table["history"][part.slice, 0] = np.where(seen["peak"][part.slice] > EMPTY, peak, EMPTY)
    return table
