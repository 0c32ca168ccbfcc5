"""The analytic model follows the C simulation, the search keeps what nothing beats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hls.spec.config import HardwareConfig, load, resized
from hls.spec.devices import DEVICES, Resources
from host.devices.csim import CsimDevice
from host.model import ViTConfig, parse_model
from sim.csim import build
from sim.explore.calibrate import GEMM, calibrate, errors
from sim.explore.gemm import Fit, Shape, cycles, shape_of, sizes_of, steps
from sim.explore.search import Point, front
from sim.perf.levels import LEVELS
from sim.perf.measure import measure
from sim.perf.run import Run

TOY = load("toy")
SIZES = sizes_of(TOY)._replace(
    row_tile=8, column_tile=24, step_tiles=2, panel_rows=24, chunk=48, sum_rows=24, read_latency=48, write_latency=32
)


def test_steps_by_hand() -> None:
    """Two column tiles of one panel of three row tiles of eight: the first step is one tile, then two at most."""
    found = steps(Shape("gemm_nt", 24, 48, (40,), frozenset()), SIZES)
    # Tiles * 40, 4 to drain, 8 deep, 2 for the handshake.
    assert [step.multiply for step in found] == [54, 94, 94, 54]
    # A column tile: a word a port, one burst of 5 words, twice (the last pass only writes): 2 * 8 * 5 cycles; rows as
    # much for a tile (one round), 3 * 8 * 5 for two. Each loop waits 48 for its first word.
    assert [step.load.busy for step in found] == [160, 120, 80, 0]
    assert [step.load.cycles for step in found] == [160 + 2 * 48 + 2, 120 + 48 + 2, 80 + 48 + 2, 0]
    # A word a row and port takes its stream two cycles (a latency of 32 over 16 bursts), and is 4 words to the memory.
    assert [step.finish.busy for step in found] == [16, 32, 32, 16]
    assert [step.finish.words for step in found] == [3 * 8 * 4, 3 * 16 * 4, 3 * 16 * 4, 3 * 8 * 4]
    assert [step.accumulate for step in found] == [8 + 8 + 2, 16 + 8 + 2, 16 + 8 + 2, 8 + 8 + 2]


def test_class_rows_are_the_first_segment_of_a_weight_gradient() -> None:
    shape = shape_of("gemm_tn", {"n": 8, "k": 8, "rows": 100, "split": 4}, frozenset())
    assert shape.segments == (4, 96)


def test_columns_that_fit_stay_over_all_panels() -> None:
    def behind_the_first_panel(contraction: int) -> float:
        return steps(Shape("gemm_nn", 48, 48, (contraction,), frozenset()), SIZES)[4].load.busy

    # Two column tiles of 24 steps fill a chunk of 48, of 25 they do not. The second panel's first step loads the rows
    # of two tiles (three passes of 8 bursts), and only in the second case columns (a burst of 3 cycles a step).
    assert behind_the_first_panel(24) == 3 * 8 * 3
    assert behind_the_first_panel(25) == 3 * 8 * 4 + 25 * 3


@given(st.integers(1, 300), st.integers(1, 100), st.integers(1, 120), st.sampled_from(GEMM))
def test_all_multiplications_are_in_the_steps(rows: int, columns: int, contraction: int, op: str) -> None:
    shape = Shape(op, rows, columns, (contraction,), frozenset())
    assert cycles(shape, TOY, Fit()) * TOY.macs >= rows * columns * contraction


@pytest.fixture(scope="module")
def board_runs() -> list[Run]:
    """DeiT-T and DeiT-S on the shipped accelerator: inference, dense and pruned, and a training step."""
    config = load("zcu102")
    build(config, "fast")
    tiny, small = (parse_model(f"deit_{size}_patch16_224") for size in ("tiny", "small"))
    wanted = [(model, "inference", level) for model in (tiny, small) for level in ("dense", "0.7")]
    wanted += [(tiny, "training", "0.7")]
    device = CsimDevice(config)
    return [
        measure(device, model, purpose, level, LEVELS[level], batch=1, memory_limit=1 << 30)
        for model, purpose, level in wanted
    ]


def test_cycles_follow_the_simulation_at_the_shapes_of_deit(board_runs: list[Run]) -> None:
    config = board_runs[0].config
    found = calibrate(board_runs)
    for run in board_runs:
        assert found.program(run, config) == pytest.approx(run.ms, rel=0.05)
    for name, (total, worst) in errors(found, board_runs, config).items():
        assert abs(total) < 0.05, name
        assert abs(worst) < 0.05 or name not in GEMM, name


def test_cycles_of_another_size_are_predicted() -> None:
    """Calibrated on the toy accelerator, the model predicts one with other sizes, which is then measured."""
    model, other = parse_model("vit_micro_patch4_32"), resized(TOY, OTHER, "toy-other")
    found = calibrate([on(TOY, model, level) for level in ("dense", "0.7")])
    run = on(TOY, model, "dense")
    assert found.program(run, other) == pytest.approx(on(other, model, "dense").ms, rel=0.06)


OTHER = {"row_tile": 8, "column_tile": 48, "step_tiles": 4, "panel_rows": 24, "chunk": 48, "sum_rows": 48}


def on(config: HardwareConfig, model: ViTConfig, level: str) -> Run:
    build(config, "fast")
    device = CsimDevice(config)
    return measure(device, model, "training", level, LEVELS[level], batch=2, memory_limit=1 << 28)


def point(score: float, dsp: float, lut: float) -> Point:
    return Point(TOY, Resources(dsp=dsp, bram36=1, lut=lut), (score,), score)


def test_front_holds_what_nothing_beats() -> None:
    points = [point(1.0, 100, 50), point(1.1, 100, 60), point(1.2, 90, 60), point(1.3, 80, 40)]
    assert [p.score for p in front(points)] == [1.0, 1.2, 1.3]


def test_excess_is_that_of_the_shortest_resource() -> None:
    device = DEVICES["xczu9eg"]
    assert point(1, 2520, 1).excess(device) == 1
    assert point(1, 1260, 1.6 * 274_080).excess(device) == pytest.approx(2)
