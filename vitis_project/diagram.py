"""The block design as a picture and tables, from what the script does when it runs under the checks.

python -m vitis_project.diagram            # write docs/block_design.md and its picture
python -m vitis_project.diagram --check    # compare the committed ones with fresh ones
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path

from hls.spec import system
from hls.spec.registers import REGISTERS, Direction
from host.errors import run_main
from vitis_project.check.scripts import Record, run_scripts
from vitis_project.project import ROOT, Project, make, write

PAGE = ROOT / "docs" / "block_design.md"
PICTURE = ROOT / "docs" / "pictures" / "block_design.svg"
WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 190, 62, 96, 26, 24
COLUMNS = (
    (system.PROCESSOR,),
    ("control", *(f"memory{index}" for index in range(len(system.MEMORY_PORTS))), "interrupts", "reset"),
    ("peelvit", "timer", "provenance", "requests"),
    ("revision", "configuration"),
)
"""Cells from left to right; the processing system is as high as its column's neighbours."""
STYLE = {"bus": ("#1f4e8c", 2.4, ""), "interrupt": ("#a83232", 1.4, ""), "data": ("#5a5a5a", 1.2, "4 3")}


@dataclass(frozen=True)
class Box:
    """A cell in the picture: its corner and size in pixels."""

    x: int
    y: int
    height: int

    def side(self, other: Box, lane: int, lanes: int) -> tuple[int, int]:
        """Where a line to `other` leaves: lines of one side stand apart."""
        x = self.x + WIDTH if other.x > self.x else self.x
        middle = other.y + other.height // 2
        low, high = self.y + 10, self.y + self.height - 10
        if self.height > HEIGHT:
            return x, min(max(middle, low), high)
        return x, low + (high - low) * (lane + 1) // (lanes + 1)


def design(project: Project) -> Record:
    """What the block design's script did."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write(folder, project.files("0" * 40, False, golden=False))
        return run_scripts(project, folder)["design.tcl"]


def lines(record: Record) -> list[tuple[str, str, str, str]]:
    """Connections of the picture: kind, source, sink, label. Clocks and resets go everywhere and stand in the text."""
    found = [("bus", one, other, "") for one, other in record.of("bus")]
    for source, sink in record.of("net"):
        name = source.partition("/")[2]
        if name in ("interrupt", "irq") or source == "requests/dout":
            found.append(("interrupt", source, sink, ""))
        elif name == "dout":
            found.append(("data", source, sink, ""))
    return found


def svg(record: Record) -> str:
    """The picture."""
    cells = {line[0]: line[1] for line in record.of("cell")}
    rows = max(len(column) for column in COLUMNS)
    full = rows * HEIGHT + (rows - 1) * GAP_Y
    boxes: dict[str, Box] = {}
    for index, column in enumerate(COLUMNS):
        x = MARGIN + index * (WIDTH + GAP_X)
        for row, name in enumerate(column):
            tall = len(column) == 1
            boxes[name] = Box(x, MARGIN + (0 if tall else row * (HEIGHT + GAP_Y)), full if tall else HEIGHT)
    missing = set(cells) ^ set(boxes)
    if missing:
        raise ValueError(f"the picture and the block design differ in {sorted(missing)}")
    drawn = lines(record)
    parts: list[str] = []
    ports: list[str] = []
    for number, (kind, source, sink, _) in enumerate(drawn):
        ends = [path.partition("/")[0] for path in (source, sink)]
        (x1, y1), (x2, y2) = (boxes[a].side(boxes[b], *_lane(drawn, number, a)) for a, b in (ends, reversed(ends)))
        colour, width, dash = STYLE[kind]
        middle = x1 - GAP_X // 2 if x1 == x2 else (x1 + x2) // 2
        title = escape(f"{source} to {sink}")
        parts.append(
            f'<path d="M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}" fill="none" stroke="{colour}" '
            f'stroke-width="{width}" stroke-dasharray="{dash}"><title>{title}</title></path>'
        )
        for path, x, y in ((source, x1, y1), (sink, x2, y2)):
            cell, _, port = path.partition("/")
            if boxes[cell].height > HEIGHT:
                ports.append(f'<text x="{x - 6}" y="{y + 3}" font-size="10" text-anchor="end">{escape(port)}</text>')
    for name, box in boxes.items():
        definition = ":".join(cells[name].split(":")[2:])
        middle_x, middle_y = box.x + WIDTH // 2, box.y + box.height // 2
        fill = "#dfe9f5" if name == system.KERNEL.name else "#ffffff"
        parts.append(
            f'<rect x="{box.x}" y="{box.y}" width="{WIDTH}" height="{box.height}" rx="6" fill="{fill}" stroke="#333"/>'
            f'<text x="{middle_x}" y="{middle_y - 4}" font-weight="bold">{escape(name)}</text>'
            f'<text x="{middle_x}" y="{middle_y + 14}">{escape(definition)}</text>'
        )
    width = 2 * MARGIN + len(COLUMNS) * WIDTH + (len(COLUMNS) - 1) * GAP_X
    height = 2 * MARGIN + full
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12" text-anchor="middle"><rect width="{width}" height="{height}" fill="#fafafa"/>'
    )
    return "\n".join([head, *parts, *ports, "</svg>"]) + "\n"


def _lane(drawn: list[tuple[str, str, str, str]], number: int, cell: str) -> tuple[int, int]:
    """Which of the lines at a cell this one is, and how many there are."""
    at = [i for i, line in enumerate(drawn) if cell in (line[1].partition("/")[0], line[2].partition("/")[0])]
    return at.index(number), len(at)


def page(record: Record, project: Project) -> str:
    """The tables."""
    text = [
        "# Block design",
        "",
        "Written by `python -m vitis_project.diagram` from what `design.tcl` does when it runs under `make hw-check`; "
        f"do not edit. Shown is {project.board.name} at {project.config.clock_mhz} MHz.",
        "",
        "![Cells of the block design, buses in blue, interrupts in red, constants dashed](pictures/block_design.svg)",
        "",
        f"All cells share one clock ({_driver(record, f'{system.KERNEL.name}/ap_clk')}) and the resets of `reset`. "
        "A clock that is no whole fraction of the processing system's PLL comes from a clock wizard instead, and the "
        "reset waits for its lock.",
        "",
        "## Addresses",
        "",
        "| seen from | block or memory | from | to | size |",
        "|---|---|---|---|---|",
    ]
    for space, segment, offset, size in record.of("address"):
        first, bytes_ = int(offset), int(size)
        text.append(f"| {space} | {segment} | 0x{first:09X} | 0x{first + bytes_ - 1:09X} | {_size(bytes_)} |")
    text += ["", "| block | what it is |", "|---|---|"]
    text += [f"| {block.name} | {block.text} |" for block in system.BLOCKS]
    text += ["", "## Cells", "", "| cell | IP in version 2021.1 |", "|---|---|"]
    text += [f"| {name} | {vlnv} |" for name, vlnv in record.of("cell")]
    text += ["", "## Buses", "", "| master | slave |", "|---|---|"]
    text += [f"| {one} | {other} |" for one, other in record.of("bus")]
    text += ["", "## Wires", "", "| source | goes to |", "|---|---|"]
    sinks: dict[str, list[str]] = {}
    for source, sink in dict.fromkeys(record.of("net")):
        sinks.setdefault(source, []).append(sink)
    text += [f"| {source} | {', '.join(found)} |" for source, found in sinks.items()]
    registers = ", ".join(f"{r.name} 0x{r.offset:02x}" for r in REGISTERS if r.direction is not Direction.OUTPUT)
    text += [
        "",
        f"The accelerator's registers ({registers} and on) are on [their own page](reference/hardware.md). "
        "`cycles_low` and `cycles_high` exist on simulated boards only: Vitis HLS makes no register that counts its "
        "own cycles, so on the board the timer captures its count when the accelerator's interrupt rises.",
    ]
    return "\n".join(text) + "\n"


def _driver(record: Record, pin: str) -> str:
    return next(source for source, sink in record.of("net") if sink == pin)


def _size(count: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count % size == 0:
            return f"{count // size} {unit}"
    return f"{count} B"


def rendered() -> dict[Path, str]:
    """The page and the picture of the shipped ZCU102 configuration."""
    project = make("zcu102")
    record = design(project)
    return {PAGE: page(record, project), PICTURE: svg(record)}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m vitis_project.diagram", description="Draw the block design.")
    parser.add_argument("--check", action="store_true", help="compare the committed page and picture with fresh ones")
    options = parser.parse_args()
    fresh = rendered()
    if options.check:
        different = [path for path, text in fresh.items() if not path.is_file() or path.read_text() != text]
        for path in different:
            print(f"{path} differs from a fresh one; run `python -m vitis_project.diagram`", file=sys.stderr)
        return 1 if different else 0
    for path, text in fresh.items():
        path.write_text(text)
        print(path)
    return 0


if __name__ == "__main__":
    run_main(main)
