"""Resources in closed form: fitted to `hls.area` at the boards' sizes, and moved to go through one of them.

All kernels come from the same templates, so what a row, a column or a lane of them takes is the same; what a board's
own limits (longest row, most patches) add is the difference at its own sizes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from tqdm import tqdm

from hls.area.estimate import Estimate, estimate
from hls.area.memory import bram36, uram
from hls.lint.errors import LintError
from hls.spec.config import BOARDS, ConfigError, HardwareConfig, load, resized
from hls.spec.devices import NAMES, Resources
from hls.spec.formats import LANES
from host.errors import PeelVitError

SIZES = ("row_tile", "column_tile", "step_tiles", "step_buffers", "panel_rows", "chunk", "sum_rows", "lanes")
"""What is searched."""
NOTHING = Resources()


@dataclass(frozen=True)
class ClosedForm:
    """Coefficients by resource, and the largest relative error at the sizes that they were fitted to."""

    coefficients: dict[str, NDArray[np.float64]]
    error: dict[str, float]
    moved: Resources = NOTHING

    def resources(self, config: HardwareConfig) -> Resources:
        """Of a configuration."""
        found = {name: float(_features(name, config) @ self.coefficients[name]) for name in NAMES}
        return Resources(**found) + self.moved

    def through(self, config: HardwareConfig, total: Resources) -> ClosedForm:
        """The same, exact at a configuration that was estimated."""
        return replace(self, moved=self.moved + total + self.resources(config) * -1)


def estimated(config: HardwareConfig) -> Estimate:
    """By `hls.area`."""
    try:
        return estimate(config)
    except (ConfigError, LintError) as error:
        raise PeelVitError(f"the resources of {config.name} cannot be estimated: {error}") from None


def anchors() -> list[HardwareConfig]:
    """The boards' configurations, and the ZCU102's with fewer rows, and fewer columns and lanes."""
    base = load("zcu102")
    rows = base.row_tile - 2
    panel_rows = math.ceil(base.panel_rows / math.lcm(rows, LANES)) * math.lcm(rows, LANES)
    changes = {
        "fewer-rows": {"row_tile": rows, "panel_rows": panel_rows, "sum_rows": max(base.sum_rows, panel_rows)},
        "narrower": {"column_tile": base.column_tile - LANES * base.ports, "lanes": max(3, base.lanes // 2)},
    }
    return [*map(load, BOARDS), *(resized(base, change, f"zcu102-{name}") for name, change in changes.items())]


def closed_form(configs: Sequence[HardwareConfig]) -> ClosedForm:
    """Fit to `hls.area` at these sizes."""
    found = [estimated(config).total for config in tqdm(configs, unit="estimate", desc="resources", disable=None)]
    coefficients, error = {}, {}
    for name in NAMES:
        counts = np.array([getattr(total, name) for total in found])
        table = np.array([_features(name, config) for config in configs])
        scale = np.maximum(counts, 1)
        coefficients[name] = nnls(table / scale[:, None], counts / scale)[0]
        error[name] = float(np.abs((table @ coefficients[name] - counts) / scale).max())
    return ClosedForm(coefficients, error)


def _features(name: str, config: HardwareConfig) -> NDArray[np.float64]:
    rows, columns, ports = config.row_tile, config.column_tile, config.ports
    word, pairs, buffers = 16 * LANES, config.chunk // 2, config.step_buffers
    has_ultra = config.deep_memory == "uram"
    waiting = config.sum_rows * columns // LANES, LANES * (47 + config.max_contraction.bit_length())
    step_rows = config.step_groups * pairs, word
    if name == "uram":
        deep = 2 * uram(*waiting) + 2 * ports * uram(*step_rows) * buffers
        return np.array([has_ultra, has_ultra * deep], dtype=float)
    if name != "bram36":
        return np.array([1.0, rows * columns, rows, columns, config.lanes])
    weights = 2 * config.weight_words  # of two passes
    momenta = config.update_lanes * 2 // LANES  # words that come at once
    lines = config.line_tiles * rows * columns // (LANES * ports)
    memories = [
        2 * ports * bram36(config.panel_groups * pairs, word),
        0 if has_ultra else 2 * ports * bram36(*step_rows) * buffers,
        2 * columns // LANES // ports * bram36(config.column_pairs, ports * word),
        bram36(config.kept_pairs, 2 * 16 * columns),
        0 if has_ultra else 2 * bram36(*waiting),
        2 * ports * bram36(lines, word) * (buffers + 1),
        2 * ports * bram36(weights, word) + ports * momenta * bram36(2 * weights // momenta, word),
    ]
    return np.array([1.0, not has_ultra, sum(memories), config.lanes])
