"""The analytic model follows the C simulation, the search keeps what nothing beats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hls.spec.config import load
from hls.spec.devices import DEVICES, Resources
from host.devices.csim import CsimDevice
from host.model import parse_model
from sim.explore.calibrate import GEMM, calibrate, errors
from sim.explore.gemm import Fit, Shape, cycles, steps
from sim.explore.search import Point, front
from sim.perf.levels import LEVELS
from sim.perf.measure import measure

TOY = load("toy")
IDEAL = Fit(load=0, finish=0, task=0, instruction=0)


def test_steps_by_hand() -> None:
    """Two column tiles of one panel of three row tiles of eight: the first step is one tile, then two at most."""
    sizes = (8, 24, 2, 24, 48, 24, 3)
    found = steps(Shape("gemm_nt", 24, 48, (40,), frozenset()), sizes)
    assert [step.multiply for step in found] == [44, 84, 84, 44]  # tiles * 40 + 4 to drain
    # A column tile: a word a port, one burst of 5 words, twice (the last pass only writes): 2 * 8 * 5 cycles; rows as
    # much for a tile (one round), 3 * 8 * 5 for two.
    assert [step.load for step in found] == [160, 120, 80, 0]
    assert [step.finish for step in found] == [8, 16, 16, 8]


@given(st.integers(1, 300), st.integers(1, 100), st.integers(1, 120), st.sampled_from(GEMM))
def test_all_multiplications_are_in_the_steps(rows: int, columns: int, contraction: int, op: str) -> None:
    shape = Shape(op, rows, columns, (contraction,), frozenset())
    assert cycles(shape, TOY, IDEAL) * TOY.macs >= rows * columns * contraction


def test_cycles_of_gemm_and_attention_follow_the_simulation() -> None:
    device, model = CsimDevice(TOY), parse_model("vit_micro_patch4_32")
    wanted = [("inference", "dense", 1), ("inference", "0.7", 2), ("training", "dense", 2)]
    runs = [
        measure(device, model, purpose, level, LEVELS[level], batch=batch, memory_limit=1 << 28)
        for purpose, level, batch in wanted
    ]
    found = calibrate(runs)
    for run in runs:
        assert found.program(run, TOY) == pytest.approx(run.ms, rel=0.06)
    assert all(abs(total) < 0.1 for total, _ in errors(found, runs, TOY).values())


def point(score: float, dsp: float, lut: float) -> Point:
    return Point(TOY, Resources(dsp=dsp, bram36=1, lut=lut), (score,), score)


def test_front_holds_what_nothing_beats() -> None:
    points = [point(1.0, 100, 50), point(1.1, 100, 60), point(1.2, 90, 60), point(1.3, 80, 40)]
    assert [p.score for p in front(points)] == [1.0, 1.2, 1.3]


def test_excess_is_that_of_the_shortest_resource() -> None:
    device = DEVICES["xczu9eg"]
    assert point(1, 2520, 1).excess(device) == 1
    assert point(1, 1260, 1.6 * 274_080).excess(device) == pytest.approx(2)
