"""Pipelined loops as the kernels state them, beside those of a Vitis HLS synthesis report where there is one.

The report is `csynth.xml` of the solution (or a module's own `*_csynth.xml`): loops stand below
`PerformanceEstimates/SummaryOfLoopLatency`, of the top function and of every `ModuleInformation/Module`, as elements of
their name or with a `Name`, nested loops inside. There is no vendor tool here: no report of these kernels was read yet.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from hls.render import sources
from hls.spec.config import HardwareConfig
from host.errors import PeelVitError

BASELINES = Path(__file__).resolve().parents[2] / "vitis_project" / "baselines"
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
    """The newest committed report of this configuration: `vitis_project/baselines/<tool>/<config>.xml`."""
    found = sorted(BASELINES.glob(f"*/{config.name}.xml"))
    return found[-1] if found else None


def read_report(path: Path) -> list[SynthesisedLoop]:
    """The loops of a report, or of all `*csynth.xml` in a folder; `PeelVitError` when it is no such report."""
    if path.is_dir():
        return [loop for file in sorted(path.rglob("*csynth.xml")) for loop in read_report(file)]
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


def _synthesised(module: str, element: ElementTree.Element | None) -> Iterator[SynthesisedLoop]:
    for child in element if element is not None else ():
        if child.find("TripCount") is None:
            continue
        interval, depth = (_number(child.findtext(tag)) for tag in ("PipelineII", "PipelineDepth"))
        trips = "-".join(part for part in child.find("TripCount").itertext() if part.strip())  # type: ignore[union-attr]
        yield SynthesisedLoop(module, child.findtext("Name", child.tag), interval, depth, trips)
        yield from _synthesised(module, child)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.strip().isdigit() else None


def loop_table(stated: Sequence[StatedLoop], synthesised: Sequence[SynthesisedLoop]) -> str:
    """Interval and depth of every synthesised loop that the kernels state, and how they differ."""
    lines = [f"{'loop':64}{'stated II':>10}{'depth':>7}{'csynth II':>11}{'depth':>7}"]
    missing = 0
    for loop in synthesised:
        found = [s for s in stated if f"_{loop.name}".endswith(f"_{s.label}")]
        if not found or loop.interval is None:
            missing += 1
            continue
        match = _common(found)
        slower = [
            what
            for what, theirs, ours in (("II", loop.interval, match.interval), ("depth", loop.depth, match.depth))
            if theirs is not None and ours is not None and theirs > ours
        ]
        figures = f"{_text(match.interval):>10}{_text(match.depth):>7}{_text(loop.interval):>11}{_text(loop.depth):>7}"
        note = f"  larger {' and '.join(slower)} than stated" if slower else ""
        lines.append(f"{f'{loop.module}: {loop.name}':64}{figures}{note}")
    lines.append(f"{missing} loops of the report are not pipelined or not stated by the kernels")
    return "\n".join(lines)


def _common(loops: Sequence[StatedLoop]) -> StatedLoop:
    """What loops of the same label have in common."""
    intervals, depths = ({getattr(loop, figure) for loop in loops} for figure in ("interval", "depth"))
    interval, depth = (figures.pop() if len(figures) == 1 else None for figures in (intervals, depths))
    return StatedLoop(loops[0].file, loops[0].label, interval, depth)


def _text(figure: int | None) -> str:
    return "-" if figure is None else str(figure)
