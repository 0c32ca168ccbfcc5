"""Pipelined loops as the kernels state them, beside those of a Vitis HLS synthesis report where there is one.

The report is `csynth.xml` of the solution (or a module's own `*_csynth.xml`): loops stand below
`PerformanceEstimates/SummaryOfLoopLatency`, of the top function and of every `ModuleInformation/Module`, as elements of
their name or with a `Name`, nested loops inside. `make hw` keeps them as JSON in `vitis_project/baselines/<tool>/`.
There is no vendor tool here: no report of these kernels was read yet.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from hls.render import sources
from hls.spec.config import HardwareConfig
from host.errors import PeelVitError

BASELINES = Path(__file__).resolve().parents[2] / "vitis_project" / "baselines"
TOLERANCE = 0.1
"""A loop whose synthesised cycles differ from the modelled ones by more is named."""
_CONSTANT = re.compile(r"constexpr \w+ (k\w+) = ([^;{]+);")
_LABEL = re.compile(r"^\s*(\w+):$")
_PIPELINE = re.compile(r"PIPELINE\((.*)\);")


@dataclass(frozen=True)
class StatedLoop:
    """A loop of the rendered kernels; figures are None where they depend on data."""

    file: str
    label: str
    interval: int | None
    depth: int | None


@dataclass(frozen=True)
class SynthesisedLoop:
    """A loop of a synthesis report; figures are None where the report has none. Names of flattened loops are joined."""

    module: str
    name: str
    interval: int | None
    depth: int | None
    trips: str
    latency: int | None = None
    """Cycles of the whole loop; the most where they depend on data."""


def stated_loops(config: HardwareConfig) -> list[StatedLoop]:
    """Every loop with a PIPELINE macro, by file and place."""
    files = {name: text for name, text in sources(config).items() if name not in ("cycles.hpp", "model.hpp")}
    constants: dict[str, int] = {}
    for text in files.values():
        for name, expression in _CONSTANT.findall(text):
            constants[name] = _value(expression, constants) or 0
    return [loop for name, text in files.items() for loop in _loops(name, text, constants)]


def _loops(file: str, text: str, constants: Mapping[str, int]) -> Iterator[StatedLoop]:
    label = ""
    for line in text.splitlines():
        if found := _LABEL.match(line):
            label = found[1]
        elif (found := _PIPELINE.search(line)) and not line.startswith("#"):
            interval, depth = found[1].rsplit(",", 2)[1:]
            yield StatedLoop(file, label, _value(interval, constants), _value(depth, constants))


def _value(expression: str, names: Mapping[str, int]) -> int | None:
    """The integer that a C++ constant expression of sums and products is; None where it is anything else."""
    try:
        tree = ast.parse(expression.strip().replace("/", "//"), mode="eval")
        return int(eval(compile(tree, "", "eval"), {"__builtins__": {}}, dict(names)))
    except (SyntaxError, NameError, TypeError, ValueError, ZeroDivisionError, AttributeError):
        return None


def find_report(config: HardwareConfig) -> Path | None:
    """The newest tool's baseline of this configuration: `vitis_project/baselines/<tool>/<config>.json`."""
    found = sorted(BASELINES.glob(f"*/{config.name}.json"))
    return found[-1] if found else None


def title(path: Path, config: HardwareConfig) -> str:
    """What a report is of: its place, for a baseline its revision and whether the configuration has changed since."""
    if path.suffix != ".json":
        return str(path)
    try:
        content = json.loads(path.read_text())
        revision, found = str(content["revision"]), str(content["hash"])
    except (OSError, ValueError, KeyError, TypeError):
        raise PeelVitError(f"{path} is no baseline; run `make reports` again") from None
    changed = "" if found == f"{config.hash:016x}" else f", of configuration {found}, which has changed since"
    return f"{path} (revision {revision[:8]}{changed})"


def read_report(path: Path) -> list[SynthesisedLoop]:
    """The loops of a report or baseline, or of all `*csynth.xml` in a folder; `PeelVitError` when it is none."""
    if path.is_dir():
        return [loop for file in sorted(path.rglob("*csynth.xml")) for loop in read_report(file)]
    if path.suffix == ".json":
        return _baseline_loops(path)
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise PeelVitError(f"{path} is not a Vitis HLS report ({error}); give the solution's csynth.xml") from None
    if root.find("PerformanceEstimates") is None:
        raise PeelVitError(f"{path} has no PerformanceEstimates; give the solution's csynth.xml")
    top = root.findtext("UserAssignments/TopModelName", path.stem)
    modules = [(top, root), *((m.findtext("Name", ""), m) for m in root.findall("ModuleInformation/Module"))]
    return [
        loop
        for name, element in modules
        for loop in _synthesised(name, element.find("PerformanceEstimates/SummaryOfLoopLatency"))
    ]


def _baseline_loops(path: Path) -> list[SynthesisedLoop]:
    try:
        loops = json.loads(path.read_text())["synthesis"]["loops"]
        return [SynthesisedLoop(**loop) for loop in loops]
    except (OSError, ValueError, KeyError, TypeError):
        raise PeelVitError(f"{path} is no baseline with synthesised loops; run `make hls` again") from None


def _synthesised(module: str, element: ElementTree.Element | None) -> Iterator[SynthesisedLoop]:
    for child in element if element is not None else ():
        if child.find("TripCount") is None:
            continue
        interval, depth = (_number(child.findtext(tag)) for tag in ("PipelineII", "PipelineDepth"))
        trips = "-".join(part for part in child.find("TripCount").itertext() if part.strip())  # type: ignore[union-attr]
        latency = _number(child.findtext("Latency", "").rpartition("~")[2])
        yield SynthesisedLoop(module, child.findtext("Name", child.tag), interval, depth, trips, latency)
        yield from _synthesised(module, child)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.strip().isdigit() else None


def loop_table(stated: Sequence[StatedLoop], synthesised: Sequence[SynthesisedLoop]) -> str:
    """Stated beside synthesised intervals, depths and cycles; loops beyond `TOLERANCE` are named below.

    Cycles are those of the loop's trip count, the most where it depends on data.
    """
    figures = ("II", "depth", "cycles")
    lines = [f"{'loop':56}" + "".join(f"{f'{who} {f}':>14}" for f in figures for who in ("model", "csynth"))]
    missing, far = 0, []
    for loop in synthesised:
        found = [s for s in stated if f"_{loop.name}".endswith(f"_{s.label}")]
        if not found or loop.interval is None:
            missing += 1
            continue
        match = _common(found)
        pairs = [
            (match.interval, loop.interval),
            (match.depth, loop.depth),
            (_cycles(match, loop), loop.latency or _cycles(loop, loop)),
        ]
        worst = difference(pairs)
        note = f"  {worst:+.0%}" if worst is not None else ""
        name = f"{loop.module}: {loop.name}"
        lines.append(f"{name:56}" + "".join(f"{_text(value):>14}" for pair in pairs for value in pair) + note)
        if worst is not None and abs(worst) > TOLERANCE:
            far.append(f"{name} ({worst:+.0%})")
    lines.append(f"{missing} loops of the report are not pipelined or not stated by the kernels")
    named = ", ".join(far) or "none"
    return "\n".join([*lines, f"over {TOLERANCE:.0%} from the model: {named}"])


def difference(pairs: Sequence[tuple[int | None, int | None]]) -> float | None:
    """How much more the synthesised figure is than the stated one; None when nothing can be compared.

    Of cycles if both have them, else of interval or depth, whichever differs more.
    """
    known = [(ours, theirs) for ours, theirs in pairs if ours and theirs is not None]
    if not known:
        return None
    if pairs[2] in known:
        known = [pairs[2]]
    return max((theirs / ours - 1 for ours, theirs in known), key=abs)


def _cycles(schedule: StatedLoop | SynthesisedLoop, loop: SynthesisedLoop) -> int | None:
    """Cycles of the loop's trips in a schedule: the first iteration takes the depth, each further one the interval."""
    trips = _number(loop.trips.rpartition("-")[2])
    if trips is None or schedule.interval is None or schedule.depth is None:
        return None
    return schedule.depth + schedule.interval * max(trips - 1, 0)


def _common(loops: Sequence[StatedLoop]) -> StatedLoop:
    """What loops of the same label have in common."""
    intervals, depths = ({getattr(loop, figure) for loop in loops} for figure in ("interval", "depth"))
    interval, depth = (figures.pop() if len(figures) == 1 else None for figures in (intervals, depths))
    return StatedLoop(loops[0].file, loops[0].label, interval, depth)


def _text(figure: int | None) -> str:
    return "-" if figure is None else str(figure)
