"""The analytic model follows the C simulation, the search keeps what nothing beats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hls.area.estimate import Estimate, Row
from hls.spec.config import HardwareConfig, load, resized
from hls.spec.devices import DEVICES, Resources
from host.devices.csim import CsimDevice
from host.model import ViTConfig, parse_model
from sim.csim import build
from sim.explore.__main__ import Found
from sim.explore.area import ClosedForm
from sim.explore.calibrate import GEMM, calibrate, errors
from sim.explore.document import page
from sim.explore.gemm import Fit, cycles, steps
from sim.explore.search import Point, candidates, front, recommended
from sim.explore.walk import Shape, shape_of, sizes_of
from sim.perf.levels import LEVELS
from sim.perf.measure import measure
from sim.perf.run import Run

TOY = load("toy")
SIZES = sizes_of(TOY)._replace(
    row_tile=8,
    column_tile=24,
    step_tiles=2,
    panel_rows=24,
    chunk=48,
    kept_pairs=24,
    column_pairs=24,
    sum_rows=24,
    read_latency=48,
    write_latency=32,
)


def test_steps_by_hand() -> None:
    """Two column tiles of one panel of three row tiles of eight: the first step is one tile, the next one brings two at
    most, and the other column tile takes the panel at once."""
    found = steps(Shape("gemm_nt", 24, 48, (40,), frozenset()), SIZES)
    # Tiles * 20 pairs, 8 to drain, 12 deep, 2 for the handshake.
    assert [step.multiply for step in found] == [42, 62, 82]
    # A column tile: a word a port, a block of 8 rows by 5 words, 40 words. They take 40 cycles and 15 more, as three
    # rows of words hold none of the 40 columns. Rows take as much for one tile or two, which are a round of words. A
    # pass more only writes, and the loop waits 48 for its first word.
    assert [step.load.busy for step in found] == [3 * 40, 2 * 40, 2 * 40]
    assert [step.load.cycles for step in found] == [3 * 55 + 48 + 2, 2 * 55 + 48 + 2, 2 * 55 + 48 + 2]
    # A word a row and port takes its stream two cycles (a latency of 32 over 16 bursts), and is 4 words to the memory.
    assert [step.store.busy for step in found] == [16, 32, 48]
    assert [step.store.words for step in found] == [3 * 8 * 4, 3 * 16 * 4, 3 * 24 * 4]
    # Three words a row, one a cycle, 28 deep; as long for the rows of the last tile behind the last sums.
    assert [step.finish for step in found] == [24 + 30, 48 + 30, 72 + 30]
    assert [step.last for step in found] == [52, 52, 52]


def test_columns_go_on_from_step_to_step() -> None:
    """Where a row fills the bursts (more than 56 of a contraction): each step reads the first block of the next one
    while it writes its own last one. At the end come two of three tiles for a layer behind."""
    shape = Shape("gemm_nt", 8, 72, (64,), frozenset({"BIAS"}), next_columns=72, next_length=96)
    sizes = SIZES._replace(chunk=96, kept_pairs=96)
    found = steps(shape, sizes)
    # A block of 8 x 8 words (of 96 steps two) and the last pass, unless the step has begun; then a word of bias, of
    # which three cycles are the least that a stream takes. The first step also has a block of rows.
    assert [step.load.busy for step in found] == [3 * 64 + 3, 64 + 3, 64 + 3, 128, 128]
    assert [step.multiply for step in found[3:]] == [48 + 14, 48 + 14]
    assert [step.finish for step in found[3:]] == [30, 30]


@pytest.mark.parametrize(
    "flags, has_rows, columns, tiles",
    [
        ((), True, 120, [2, 2, 1]),  # of 24
        ((), True, 112, [2, 2, 1]),  # the last one is narrow
        ((), False, 120, [1, 2, 2]),  # the first one brings rows
        (("BIAS", "GELU"), True, 96, [2, 2]),
        (("RESIDUAL",), True, 96, [1, 1, 1, 1]),  # a line a row
    ],
)
def test_whole_column_tiles_go_in_pairs(flags: tuple[str, ...], has_rows: bool, columns: int, tiles: list[int]) -> None:
    """Where both have room: a pass multiplies and drains twice, but ends once."""
    sizes = SIZES._replace(column_pairs=40)
    found = steps(Shape("gemm_nt", 8, columns, (40,), frozenset(flags), has_rows=has_rows), sizes)
    # Eight rows: 20 pairs a column tile, 8 to drain the last one, 12 deep, 2 for the handshake.
    assert [step.multiply for step in found] == [20 * count + 22 for count in tiles]
    lines = 8 + ("BIAS" in flags)
    assert [step.finish for step in found] == [lines * 3 * count + 30 for count in tiles]
    single = steps(Shape("gemm_nt", 8, columns, (40,), frozenset(flags), has_rows=has_rows), SIZES)
    assert len(single) == sum(tiles)
    assert sum(step.store.busy for step in found) == sum(step.store.busy for step in single)


def test_of_a_narrow_part_one_tile_comes_ahead() -> None:
    """Two whole column tiles are worth holding, a whole and a narrow one are not."""
    sizes = SIZES._replace(chunk=96, kept_pairs=96)
    for columns, ahead in ((47, 1), (48, 2), (49, 2)):
        shape = Shape("gemm_nt", 8, 24, (64,), frozenset(), next_columns=columns, next_length=96)
        assert len(steps(shape, sizes)) == 1 + ahead


def test_class_rows_are_the_last_segment_of_a_weight_gradient() -> None:
    shape = shape_of("gemm_tn", {"n": 8, "k": 8, "rows": 100, "split": 4}, frozenset())
    assert shape.segments == (96, 4)


@pytest.mark.parametrize(
    "rows, flags, segments", [(100, (), (99,)), (100, ("BIAS",), (99,)), (100, ("ACCUMULATE",), (99, 1)), (1, (), (1,))]
)
def test_a_single_class_row_is_added_by_the_epilogue(
    rows: int, flags: tuple[str, ...], segments: tuple[int, ...]
) -> None:
    shape = shape_of("gemm_tn", {"n": 8, "k": 8, "rows": rows, "split": 1}, frozenset(flags))
    assert shape.segments == segments
    assert shape.adds_class_row == (segments == (99,))


def test_a_class_row_is_read_beside_the_sums() -> None:
    """A line of the column tile, and the class row's words at the step's rows; few words take a stream three cycles."""
    plain, added = (steps(Shape("gemm_tn", 24, 24, (40,), frozenset(), adds), SIZES) for adds in (False, True))
    assert [b.load.busy - a.load.busy for a, b in zip(plain, added, strict=True)] == [3 + 3, 3 + 3]


def test_columns_that_fit_stay_over_all_panels() -> None:
    def behind_the_first_panel(contraction: int) -> float:
        return steps(Shape("gemm_nn", 48, 48, (contraction,), frozenset()), SIZES)[3].load.busy

    # Two column tiles of 24 steps fill a chunk of 48, of 25 (13 pairs) they do not. The second panel's first step loads
    # the rows of two tiles (two passes of 8 bursts), and only in the second case columns (a burst of 3 cycles a step).
    assert behind_the_first_panel(24) == 2 * 8 * 3
    assert behind_the_first_panel(25) == 2 * 8 * 4 + 25 * 3


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
    wanted = [(tiny, "inference", "dense"), (tiny, "inference", "0.7"), (small, "inference", "dense")]
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


@pytest.mark.slow
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


def sized(rows: int, score: float, dsp: float) -> Point:
    config = resized(TOY, {"row_tile": rows})
    return Point(config, Resources(dsp=dsp), (score,), score)


def test_the_fastest_point_that_is_confirmed_is_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The closed form holds all for fitting, the estimate only the slowest. Of the first one's twins a smaller one is
    tried."""
    read: list[int] = []

    def estimated(config: HardwareConfig) -> Estimate:
        read.append(config.row_tile)
        total = Resources(dsp=2000 if config.row_tile == 8 else 3000)
        return Estimate(config.name, config.part, [Row(0, "top", total, total)], [])

    monkeypatch.setattr("sim.explore.search.estimated", estimated)
    points = [sized(8, 1.2, 2400), sized(14, 1.0, 2500), sized(12, 1.005, 2500), sized(10, 1.1, 2450)]
    points.append(sized(16, 1.006, 2300))
    start = Point(TOY, Resources(dsp=3000), (0.9,), 0.9, True)  # does not fit
    found = recommended(points, DEVICES["xczu9eg"], start)
    assert read == [14, 16, 10, 8]
    assert found is not None
    assert (found.config.row_tile, found.resources.dsp, found.is_estimated) == (8, 2000, True)
    assert recommended(points[1:], DEVICES["xczu9eg"], start) is None
    for score, is_better in ((1.25, False), (1.2, True), (1.0, True)):
        fitting = replace(start, resources=Resources(dsp=1), score=score)
        assert (recommended(points, DEVICES["xczu9eg"], fitting) is fitting) == is_better


def test_the_closed_form_goes_through_a_board() -> None:
    ones = {
        "dsp": [10, 1, 0, 0, 32],
        "bram36": [5, 0, 0, 0],
        "lut": [9, 0, 0, 0, 0],
        "ff": [9, 0, 0, 0, 0],
        "uram": [7, 0],  # of devices that have it
    }
    form = ClosedForm({name: np.array(values) for name, values in ones.items()}, {})
    board, lanes = resized(TOY, {"lanes": 3}), 3
    assert form.resources(board).dsp == 10 + TOY.row_tile * TOY.column_tile + 32 * lanes
    moved = form.through(board, Resources(dsp=500, bram36=20, lut=100, ff=200))
    assert moved.resources(board) == Resources(dsp=500, bram36=20, lut=100, ff=200)
    assert moved.resources(resized(TOY, {"lanes": 4})).dsp == 532
    assert form.resources(resized(TOY, {"part": "xczu7ev-ffvc1156-2-e"})).uram == 7


@pytest.mark.parametrize(
    "used, best, fault",
    [
        (2000, 1.0, ""),
        (2000, 0.98, ""),
        (2000, 0.9, "toy is 11% slower than the sizes that were found"),
        (3000, 0.9, "toy does not fit xczu9eg; other sizes do"),
        (3000, None, "toy does not fit xczu9eg; nothing found fits either"),
    ],
)
def test_what_is_shipped_is_held_against_the_search(used: float, best: float | None, fault: str) -> None:
    shipped = Point(TOY, Resources(dsp=used), (1.0,), 1.0, True)
    other = None if best is None else Point(TOY, Resources(dsp=1), (best,), best, True)
    assert Found(shipped, DEVICES["xczu9eg"], [], [], other, {}).fault == fault


def test_the_page_has_every_board() -> None:
    limits = {"dsp": 2520, "bram36": 912, "lut": 219_264, "ff": 438_528, "uram": 0}
    used = {name: limit // 2 for name, limit in limits.items()}
    shipped = {"sizes": {"row_tile": 8}, "resources": used, "score": 1.0}
    board = {
        "device": "xczu9eg",
        "board": "ZCU102",
        "limits": limits,
        "fits": True,
        "fault": "",
        "programs": [{"model": "deit_tiny_patch16_224", "pass": "inference", "micro_batch": 1, "simulated_ms": 5.25}],
        "shipped": shipped,
        "recommended": shipped,
    }
    text = page({"boards": {"zcu102": board, "kv260": board | {"recommended": None, "fault": "too large"}}})
    assert "| zcu102 | ZCU102 (xczu9eg) | 1,260 of 2,520 (50%) |" in text
    assert "| 0 of none | yes |" in text
    assert "| kv260 | 5.25 |" in text
    assert "too large" in text


def test_what_waits_fills_a_uram_where_there_is_one() -> None:
    """4,096 words of eight sums: 680 rows of 48 columns, as rows are taken by eight."""
    small = resized(load("zcu104"), {"column_tile": 48})
    rows = {c.sum_rows for c in candidates(small) if (c.column_tile, c.row_tile, c.panel_rows) == (48, 16, 208)}
    assert 680 in rows
    plain = resized(small, {"part": "xczu9eg-ffvb1156-2-e"})
    assert 680 not in {c.sum_rows for c in candidates(plain) if c.column_tile == 48}


def test_front_holds_what_nothing_beats() -> None:
    points = [point(1.0, 100, 50), point(1.1, 100, 60), point(1.2, 90, 60), point(1.3, 80, 40)]
    assert [p.score for p in front(points)] == [1.0, 1.2, 1.3]


def test_excess_is_that_of_the_shortest_resource() -> None:
    device = DEVICES["xczu9eg"]
    assert point(1, 2520, 1).excess(device) == 1
    assert point(1, 1260, 1.6 * 274_080).excess(device) == pytest.approx(2)
