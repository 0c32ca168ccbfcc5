"""`python -m sim.explore [zcu102 kv260 ...] [--check]`: searches the sizes of the accelerator for each board."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hls.spec.config import BOARDS, HardwareConfig, resized
from hls.spec.devices import DEVICES, NAMES, Device, device_of
from host.devices.csim import CsimDevice
from host.errors import PeelVitError, run_main
from host.model import parse_model
from sim.csim import build
from sim.explore.area import SIZES, ClosedForm, anchors, closed_form, estimated
from sim.explore.calibrate import calibrate, errors
from sim.explore.document import PAGE, page
from sim.explore.search import Point, front, recommended, search, timed
from sim.perf.levels import LEVELS
from sim.perf.measure import PASSES, measure
from sim.perf.run import Run
from sim.workload import load_hardware

MEMORY_LIMIT = 2 << 30
SLOWER = 1.03
"""How much slower than the recommended sizes the shipped ones may be: the models' own error."""


@dataclass(frozen=True)
class Found:
    """What was searched for a board, and how its shipped configuration compares."""

    shipped: Point
    device: Device
    programs: list[Run]
    points: list[Point]
    best: Point | None
    cycle_error: dict[str, tuple[float, float]]

    @property
    def fits(self) -> bool:
        """Whether the shipped sizes fit the device, by `hls.area`."""
        return self.shipped.excess(self.device) <= 1

    @property
    def fault(self) -> str:
        """Why the shipped sizes are not this search's output; empty if they are."""
        name = self.shipped.config.name
        if not self.fits:
            short = "nothing found fits either" if self.best is None else "other sizes do"
            return f"{name} does not fit {self.device.name}; {short}"
        if self.best is not None and self.shipped.score > SLOWER * self.best.score:
            return f"{name} is {self.shipped.score / self.best.score - 1:.0%} slower than the sizes that were found"
        return ""


def main() -> None:
    """Command line."""
    options = _parser().parse_args()
    bases = [load_hardware(name) for name in options.configs]
    form = closed_form(anchors())
    print("resources in closed form against hls.area: " + ", ".join(f"{n} {e:.1%}" for n, e in form.error.items()))
    found = [_explore(base, form, options) for base in bases]
    _write(options.json, form, found)
    if options.document:
        PAGE.write_text(page(json.loads(options.json.read_text())))
        print(f"written: {PAGE}")
    faults = [each.fault for each in found if each.fault]
    print("\n".join(faults) or "the shipped configurations are the search's output")
    if options.check and faults:
        sys.exit(1)


def _explore(base: HardwareConfig, form: ClosedForm, options: argparse.Namespace) -> Found:
    if options.board:
        base = resized(base, {"part": options.board, "dsp": int(DEVICES[options.board].has.dsp)})
    device = device_of(base.part)
    if device is None:
        raise PeelVitError(f"the device of part {base.part} is not in hls/spec/devices.py; name one with --board")
    print(f"\n{base.name} on {device.name} ({device.board})")
    runs = _measured(base, options)
    model = calibrate(runs)
    wrong = errors(model, runs, base)
    print(f"cycles modelled against the C simulation of {base.name}: " + _errors(wrong))
    programs = [run for run in runs if run.level == "dense"]
    total = estimated(base).total
    points = search(base, device, form.through(base, total), model, programs)
    shipped = timed(Point(base, total, (), 0, True), model, programs)
    found = Found(shipped, device, programs, points, recommended(points, device, shipped), wrong)
    print(_table(found, options.rows))
    return found


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


def _table(found: Found, rows: int) -> str:
    """The Pareto front, the recommended sizes and the shipped ones."""
    programs = [f"{r.model.split('_')[1]} {r.purpose}" for r in found.programs]
    head = ["", *(name.replace("_", " ") for name in SIZES), *NAMES, *programs]
    points = front(found.points)
    lines = ["".join(f"{cell:>12}" for cell in head), *(_line("", point) for point in points[:rows])]
    if found.best is not None:
        lines.append(_line("recommended", found.best))
    lines.append(_line("shipped", found.shipped))
    limits = asdict(found.device.gives)
    taken = ", ".join(f"{name} {limit:,.0f}" for name, limit in limits.items())
    lines.append(f"{len(points)} points on the front; {found.device.name} may give {taken}")
    if found.best is None:
        least = min(found.points, key=lambda point: point.excess(found.device))
        short = {name: getattr(least.resources, name) / max(limit, 1) for name, limit in limits.items()}
        worst = max(short, key=short.__getitem__)
        lines.append(f"nothing that was tried fits: {worst} is short, at the least {short[worst]:.2f} of what there is")
    return "\n".join(lines)


def _line(name: str, point: Point) -> str:
    used = [f"{getattr(point.resources, name):,.0f}" for name in NAMES]
    cells = [name, *map(str, point.sizes.values()), *used, *(f"{ms:.2f} ms" for ms in point.ms)]
    return "".join(f"{cell:>12}" for cell in cells)


def _write(path: Path, form: ClosedForm, found: Sequence[Found]) -> None:
    boards = {each.shipped.config.name: _board(each) for each in found}
    kept = json.loads(path.read_text()).get("boards", {}) if path.is_file() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"resource_error": form.error, "boards": kept | boards}, indent=1) + "\n")
    print(f"\nwritten: {path}")


def _board(found: Found) -> dict[str, Any]:
    limits = asdict(found.device.gives)
    return {
        "device": found.device.name,
        "board": found.device.board,
        "has": asdict(found.device.has),
        "limits": limits,
        "programs": [
            {"model": r.model, "pass": r.purpose, "micro_batch": r.batch, "simulated_ms": r.ms} for r in found.programs
        ],
        "cycle_error": {n: {"total": total, "worst": worst} for n, (total, worst) in found.cycle_error.items()},
        "shipped": found.shipped.as_dict(),
        "fits": found.fits,
        "fault": found.fault,
        "recommended": None if found.best is None else found.best.as_dict(),
        "front": [point.as_dict() for point in front(found.points)],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sim.explore", description="Search the accelerator's sizes.")
    models = ["deit_tiny_patch16_224", "deit_small_patch16_224"]
    parser.add_argument("configs", nargs="*", default=list(BOARDS), help="sizes to start from (default: all boards')")
    parser.add_argument("--models", nargs="+", default=models, metavar="MODEL", help="what is to be fast")
    parser.add_argument("--board", choices=sorted(DEVICES), help="another device than the configuration's")
    parser.add_argument("--batch", type=int, default=2, help="micro-batch of training (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=12, help="points to print (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="fail if a shipped configuration is not the output")
    parser.add_argument("--document", action="store_true", help=f"write {PAGE.name} again")
    parser.add_argument("--json", type=Path, default=Path("reports/explore.json"), help="(default: %(default)s)")
    return parser


if __name__ == "__main__":
    run_main(main)
