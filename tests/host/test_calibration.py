from __future__ import annotations

import numpy as np
import pytest

from hls.spec.config import load
from hls.spec.slots import EMPTY, updated_fraction
from host.calibration import calibrate, cleared, coarsen
from host.errors import PeelVitError
from host.layout import plan_layout
from host.model import ViTConfig
from host.slots import MARGIN
from host.tensors import Group, Use

SLOTS = plan_layout(load("zcu102"), ViTConfig("m", 8, 4, 3, 16, 2, 2, 24, 4), Use(2)).slots


def a_run(peaks):
    """Runs in which slot i stores values below 2**peaks[i]; it saturates where the fraction is too fine for them."""

    def run(table):
        seen = table.copy()
        seen["peak"] = peaks
        widths = np.full(len(table), 15)
        for part in SLOTS.updated.values():
            widths[part.slice] = part.bits
        seen["saturations"] = (peaks + table["f"] > widths) & (peaks > EMPTY)
        return seen

    return run


def random_peaks(seed):
    return np.random.RandomState(seed).randint(-20, 6, SLOTS.count)


def test_fractions_leave_the_margin():
    peaks = random_peaks(0)
    table = calibrate(SLOTS.initial_table(), SLOTS, a_run(peaks), {Group.WEIGHT_GRADIENT: 4})
    for group, part in SLOTS.updated.items():
        headroom = 4 if group is Group.WEIGHT_GRADIENT else 0
        assert np.all(np.abs(table["f"][part.slice] - (part.bits - MARGIN - headroom - peaks[part.slice])) <= 1)
        assert np.all(part.bits - table["f"][part.slice] >= peaks[part.slice])


def test_the_history_continues_at_the_calibrated_fractions():
    table = calibrate(SLOTS.initial_table(), SLOTS, a_run(random_peaks(1)), {Group.WEIGHT_GRADIENT: 4})
    assert np.array_equal(table["f_previous"], table["f"])
    for part in SLOTS.updated.values():
        for slot in range(part.first, part.first + part.count):
            assert updated_fraction(table["history"][slot].tolist(), part.bits, MARGIN) == table["f"][slot]


def test_slots_that_saw_nothing_stay():
    table = SLOTS.initial_table()
    seen = calibrate(table.copy(), SLOTS, a_run(np.full(SLOTS.count, EMPTY)), {})
    assert np.array_equal(seen["f"], table["f"])
    assert np.all(seen["history"] == EMPTY)


def test_what_never_settles_is_refused():
    state = np.random.RandomState(0)
    with pytest.raises(PeelVitError, match="did not settle"):
        calibrate(SLOTS.initial_table(), SLOTS, lambda table: a_run(state.randint(-20, 6, SLOTS.count))(table), {})


def test_coarsening_touches_saturated_slots_only():
    table = calibrate(SLOTS.initial_table(), SLOTS, a_run(random_peaks(2)), {})
    larger = random_peaks(2)
    larger[3] += 5
    coarser = coarsen(table, SLOTS, a_run(larger))
    changed = np.flatnonzero(coarser["f"] != table["f"])
    assert changed.tolist() == [3]
    assert coarser["f"][3] == 15 - MARGIN - larger[3]


def test_clearing_leaves_the_original():
    table = a_run(random_peaks(3))(SLOTS.initial_table())
    assert np.all(cleared(table)["peak"] == EMPTY)
    assert not np.all(table["peak"] == EMPTY)
