"""All sizes that fit a device, with their times, and those that no other ones beat."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from tqdm import tqdm

from hls.area.memory import URAM_WORDS
from hls.spec.config import ConfigError, HardwareConfig, check, resized
from hls.spec.devices import NAMES, Device, Resources
from hls.spec.formats import LANES
from sim.explore.area import SIZES, ClosedForm, estimated
from sim.explore.calibrate import Model
from sim.perf.run import Run

_COLUMNS = range(24, 217, 24)
_STEPS = (3, 4, 6)
_BUFFERS = (2, 3)
_CHUNKS = (192, 384, 768)
_LANES = (4, 8, 12, 16)
_PANELS = (99, 197, 394)
"""Rows that a panel should hold at least: half an image of 197 tokens, one, or two."""
_WAITING = (192, 384, 768)
"""Columns whose sums should find room while they wait: outputs of DeiT-T, of DeiT-S, of DeiT-B."""
_NEAR = 1.06
"""How near to the fastest an array with roomy buffers has to be for its other buffers to be looked at."""
_CELLS = 0.5
"""Least part of the largest array that fits: a smaller one is slower whatever else is chosen."""
TRIES = 6
"""Of the fastest points, those that `hls.area` reads to find one that fits beyond the closed form's error."""


@dataclass(frozen=True)
class Point:
    """Sizes with what they take and the milliseconds an image of each program."""

    config: HardwareConfig
    resources: Resources
    ms: tuple[float, ...]
    score: float
    """Geometric mean of time by the base's time: lower is better."""
    is_estimated: bool = False
    """Whether `hls.area` read the rendered sizes; else the resources are the closed form's."""

    @property
    def sizes(self) -> dict[str, int]:
        """What was searched."""
        return {name: getattr(self.config, name) for name in SIZES}

    def excess(self, device: Device) -> float:
        """Of the resource that is shortest: use by what may be used."""
        return max(getattr(self.resources, n) / max(getattr(device.gives, n), 1) for n in NAMES)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "sizes": self.sizes,
            "resources": asdict(self.resources),
            "resources_by": "hls.area" if self.is_estimated else "closed form",
            "ms": list(self.ms),
            "score": self.score,
        }


def candidates(base: HardwareConfig) -> Iterator[HardwareConfig]:
    """Every combination of sizes that a configuration may have."""
    arrays = product(_COLUMNS, range(8, 33, 2), _PANELS)
    for columns, rows, panel in arrays:
        unit = math.lcm(rows, 8)
        panel_rows = math.ceil(panel / unit) * unit
        waiting = sorted(_sum_rows(base, columns, panel_rows))
        for steps, buffers, chunk, sum_rows, lanes in product(_STEPS, _BUFFERS, _CHUNKS, waiting, _LANES):
            values = rows, columns, steps, buffers, panel_rows, chunk, sum_rows, lanes
            sizes = dict(zip(SIZES, values, strict=True))
            config = resized(base, sizes)
            try:
                check(config)
            except ConfigError:
                continue
            yield config


def _sum_rows(base: HardwareConfig, columns: int, panel_rows: int) -> set[int]:
    """Rows of sums with room for the columns that may wait, and what a URAM is deep enough for."""
    found = {math.ceil(panel_rows * waiting / (2 * columns * 8)) * 8 for waiting in _WAITING}
    if base.deep_memory == "uram":
        found.add(URAM_WORDS // columns * LANES // 8 * 8)
    return {max(panel_rows, rows) for rows in found}


def search(base: HardwareConfig, device: Device, form: ClosedForm, model: Model, runs: Sequence[Run]) -> list[Point]:
    """Points that fit the device by the closed form; where none does, those whose shortest resource is least short.

    The array is chosen first, with the roomiest buffers that fit beside it for each height of a panel (panels and sums
    share what block RAM there is), then buffers for the arrays that come near.
    """
    every = [Point(config, form.resources(config), (), 0) for config in candidates(base)]
    bound = max(1.0, min(point.excess(device) for point in every) * 1.02)
    arrays: dict[tuple[int, int], list[Point]] = {}
    for point in every:
        if point.excess(device) <= bound:
            arrays.setdefault((point.config.row_tile, point.config.column_tile), []).append(point)
    largest = max(rows * columns for rows, columns in arrays)
    first = {
        array: [timed(point, model, runs) for point in _roomiest(points)]
        for array, points in tqdm(arrays.items(), unit="array", desc="search", disable=None)
        if array[0] * array[1] >= _CELLS * largest
    }
    near = min(point.score for points in first.values() for point in points) * _NEAR
    found = [point for points in first.values() for point in points]
    known = {point.config for point in found}
    close = [array for array, points in first.items() if min(point.score for point in points) <= near]
    for array in tqdm(close, unit="array", disable=None):
        found += [timed(point, model, runs) for point in arrays[array] if point.config not in known]
    return found


def _roomiest(points: Sequence[Point]) -> list[Point]:
    """Of the points of one array that differ in the height of their panels."""
    by_panel: dict[int, list[Point]] = {}
    for point in points:
        by_panel.setdefault(point.config.panel_rows, []).append(point)
    return [max(found, key=_room) for found in by_panel.values()]


def _room(point: Point) -> tuple[int, ...]:
    config = point.config
    return config.lanes, config.step_buffers, config.sum_rows, config.chunk, config.step_tiles


def timed(point: Point, model: Model, runs: Sequence[Run]) -> Point:
    """The point with the times of the programs."""
    ms = tuple(model.program(run, point.config) for run in runs)
    score = math.exp(sum(math.log(t / run.ms) for t, run in zip(ms, runs, strict=True)) / len(runs))
    return replace(point, ms=ms, score=score)


def confirmed(point: Point) -> Point:
    """The point with the resources that `hls.area` reads from its rendered kernels."""
    sizes = "-".join(map(str, point.sizes.values()))
    total = estimated(resized(point.config, point.sizes, f"{point.config.name}-{sizes}")).total
    return replace(point, resources=total, is_estimated=True)


def recommended(points: Sequence[Point], device: Device, start: Point) -> Point | None:
    """The fastest of the points that fits by `hls.area`, the one that the search started from included; tried are
    `TRIES` from the fastest on, each 1 % slower than the one before or smaller."""
    found = _confirmed_fastest(points, device)
    if start.excess(device) <= 1 and (found is None or start.score <= found.score):
        return start
    return found


def _confirmed_fastest(points: Sequence[Point], device: Device) -> Point | None:
    tried: list[Point] = []
    for point in sorted(points, key=lambda p: (p.score, p.excess(device))):
        if tried and point.score < tried[-1].score * 1.01 and not _is_smaller(point, tried[-1]):
            continue
        found = confirmed(point)
        if found.excess(device) <= 1:
            return found
        tried.append(point)
        if len(tried) == TRIES:
            break
    return None


def _is_smaller(point: Point, other: Point) -> bool:
    return any(getattr(point.resources, name) < 0.99 * getattr(other.resources, name) for name in NAMES)


def front(points: Sequence[Point]) -> list[Point]:
    """Points that no other one beats in time without taking more of a resource, fastest first."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.score, *(getattr(p.resources, n) for n in NAMES))):
        if not any(_covers(other.resources, point.resources) for other in kept):
            kept.append(point)
    return kept


def _covers(a: Resources, b: Resources) -> bool:
    return all(getattr(a, name) <= getattr(b, name) for name in ("dsp", "bram36", "uram", "lut"))
