"""All sizes that fit a device, with their times, and those that no other ones beat."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from hls.spec.config import ConfigError, HardwareConfig, check, resized
from hls.spec.devices import LIMIT, Device, Resources
from sim.explore.area import NAMES, SIZES, ClosedForm
from sim.explore.calibrate import Model
from sim.perf.run import Run

_COLUMNS = range(24, 217, 24)
_STEPS = (3, 5, 8)
_CHUNKS = (192, 384, 768)
_LANES = (4, 6, 8, 12, 16, 24)
_PANELS = (200, 400)
"""Rows that a panel should about hold: one image of 197 tokens, or two."""
_CELLS = 0.4
"""Least part of the DSP slices that the array takes: below, it is slower whatever else is chosen."""


@dataclass(frozen=True)
class Point:
    """Sizes with what they take and the milliseconds an image of each program."""

    config: HardwareConfig
    resources: Resources
    ms: tuple[float, ...]
    score: float
    """Geometric mean of time by the base's time: lower is better."""

    @property
    def sizes(self) -> dict[str, int]:
        """What was searched."""
        return {name: getattr(self.config, name) for name in SIZES}

    def excess(self, device: Device) -> float:
        """Of the resource that is shortest: use by what may be used."""
        return max(getattr(self.resources, n) / (getattr(device.has, n) * getattr(LIMIT, n)) for n in NAMES)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"sizes": self.sizes, "resources": asdict(self.resources), "ms": list(self.ms), "score": self.score}


def candidates(base: HardwareConfig) -> Iterator[HardwareConfig]:
    """Every combination of sizes that a configuration may have."""
    for columns, rows, steps, chunk, panel in product(_COLUMNS, range(8, 33, 2), _STEPS, _CHUNKS, _PANELS):
        if not _CELLS * base.dsp <= rows * columns <= base.dsp:
            continue
        unit = math.lcm(rows, 8)
        panel_rows = max(unit, round(panel / unit) * unit)
        for waits, lanes in product((1, 2), _LANES):
            sizes = dict(zip(SIZES, (rows, columns, steps, panel_rows, chunk, waits * panel_rows, lanes), strict=True))
            config = resized(base, sizes)
            try:
                check(config)
            except ConfigError:
                continue
            yield config


def search(base: HardwareConfig, device: Device, form: ClosedForm, model: Model, runs: Sequence[Run]) -> list[Point]:
    """Points that fit the device; where none does, those whose shortest resource is least short."""
    every = [(config, form.resources(config)) for config in candidates(base)]
    bound = max(1.0, min(Point(c, r, (), 0).excess(device) for c, r in every) * 1.02)
    fitting = [(c, r) for c, r in every if Point(c, r, (), 0).excess(device) <= bound]
    return [_timed(config, resources, model, runs) for config, resources in fitting]


def _timed(config: HardwareConfig, resources: Resources, model: Model, runs: Sequence[Run]) -> Point:
    ms = tuple(model.program(run, config) for run in runs)
    score = math.exp(sum(math.log(t / run.ms) for t, run in zip(ms, runs, strict=True)) / len(runs))
    return Point(config, resources, ms, score)


def front(points: Sequence[Point]) -> list[Point]:
    """Points that no other one beats in time without taking more of a resource, fastest first."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.score, *(getattr(p.resources, n) for n in NAMES))):
        if not any(_covers(other.resources, point.resources) for other in kept):
            kept.append(point)
    return kept


def _covers(a: Resources, b: Resources) -> bool:
    return all(getattr(a, name) <= getattr(b, name) for name in ("dsp", "bram36", "lut"))
