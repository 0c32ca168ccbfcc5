"""``python -m sim.explore --models deit_tiny_patch16_224 deit_small_patch16_224 --board xczu9eg``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from hls.lint.errors import LintError
from hls.spec.config import ConfigError, HardwareConfig
from hls.spec.devices import DEVICES, LIMIT, Device
from host.devices.csim import CsimDevice
from host.errors import PeelVitError, run_main
from host.model import parse_model
from sim.csim import build
from sim.explore.area import NAMES, SIZES, ClosedForm, closed_form
from sim.explore.calibrate import calibrate, errors
from sim.explore.search import Point, front, search
from sim.perf.levels import LEVELS
from sim.perf.measure import PASSES, measure
from sim.perf.run import Run
from sim.workload import load_hardware

MEMORY_LIMIT = 2 << 30


def main() -> None:
    """Command line."""
    options = _parser().parse_args()
    base, device = load_hardware(options.config), DEVICES[options.board]
    runs = _measured(base, options)
    model = calibrate(runs)
    wrong = errors(model, runs, base)
    print(f"cycles modelled against the C simulation of {base.name}: " + _errors(wrong))
    try:
        form = closed_form(base)
    except (ConfigError, LintError) as error:
        raise PeelVitError(f"the resources of {base.name} cannot be estimated: {error}") from None
    print("resources in closed form against hls.area: " + ", ".join(f"{n} {e:.1%}" for n, e in form.error.items()))
    dense = [run for run in runs if run.level == "dense"]
    points = front(search(base, device, form, model, dense))
    print(_table(points, dense, device, options.rows))
    _write(options.json, base, device, form, points, dense, wrong)


def _measured(base: HardwareConfig, options: argparse.Namespace) -> list[Run]:
    """The programs on the base: dense ones are what is searched for, those of 0.7 only calibrate."""
    build(base, "fast")
    simulated = CsimDevice(base)
    wanted = [(name, purpose, level) for name in options.models for purpose in PASSES for level in ("dense", "0.7")]
    wanted = [one for one in wanted if one[2] == "dense" or one[0] == options.models[0]]
    runs = []
    for name, purpose, level in tqdm(wanted, unit="program", desc="calibration", disable=None):
        batch = 1 if purpose == "inference" else options.batch
        model = parse_model(name)
        runs.append(measure(simulated, model, purpose, level, LEVELS[level], batch=batch, memory_limit=MEMORY_LIMIT))
    return runs


def _errors(found: dict[str, tuple[float, float]]) -> str:
    return ", ".join(
        f"{name} {total:+.1%} (one instruction at most {worst:+.0%})" for name, (total, worst) in found.items()
    )


def _table(points: Sequence[Point], runs: Sequence[Run], device: Device, rows: int) -> str:
    limits = {name: getattr(device.has, name) * getattr(LIMIT, name) for name in NAMES}
    head = [
        *(name.replace("_", " ") for name in SIZES),
        *NAMES,
        *(f"{r.model.split('_')[1]} {r.purpose}" for r in runs),
    ]
    lines = ["  ".join(f"{cell:>11}" for cell in head)]
    for point in points[:rows]:
        used = [f"{getattr(point.resources, name):,.0f}" for name in NAMES]
        cells = [*map(str, point.sizes.values()), *used, *(f"{ms:.2f} ms" for ms in point.ms)]
        lines.append("  ".join(f"{cell:>11}" for cell in cells))
    taken = ", ".join(f"{name} {limit:,.0f}" for name, limit in limits.items())
    lines.append(f"{len(points)} points on the front; {device.name} may give {taken}")
    if points and points[0].excess(device) > 1:
        short = {name: getattr(points[0].resources, name) / limit for name, limit in limits.items()}
        worst = max(short, key=short.__getitem__)
        lines.append(
            f"nothing fits {device.name}: {worst} is short, {short[worst]:.2f} of what may be taken at the least"
        )
    return "\n".join(lines)


def _write(
    path: Path,
    base: HardwareConfig,
    device: Device,
    form: ClosedForm,
    points: Sequence[Point],
    runs: Sequence[Run],
    wrong: dict[str, tuple[float, float]],
) -> None:
    content = {
        "base": base.name,
        "board": device.name,
        "programs": [{"model": r.model, "pass": r.purpose, "micro_batch": r.batch, "base_ms": r.ms} for r in runs],
        "cycle_error": {name: {"total": total, "worst": worst} for name, (total, worst) in wrong.items()},
        "resource_error": form.error,
        "fits": bool(points) and points[0].excess(device) <= 1,
        "recommended": points[0].as_dict() if points else None,
        "front": [point.as_dict() for point in points],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(f"written: {path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sim.explore", description="Search the accelerator's sizes.")
    models = ["deit_tiny_patch16_224", "deit_small_patch16_224"]
    parser.add_argument("--models", nargs="+", default=models, metavar="MODEL", help="what is to be fast")
    parser.add_argument("--board", choices=sorted(DEVICES), default="xczu9eg", help="device (default: %(default)s)")
    parser.add_argument("--config", default="zcu102", help="sizes to start from (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=4, help="micro-batch of training (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=20, help="points to print (default: %(default)s)")
    parser.add_argument("--json", type=Path, default=Path("reports/explore.json"), help="(default: %(default)s)")
    return parser


if __name__ == "__main__":
    run_main(main)
