"""Area of a leaf: yosys maps its SystemVerilog to UltraScale+ cells."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from host.errors import PeelVitError

RECIPE = "synth_xilinx -family xcup -noiopad -flatten"
# Run in a process of its own: yosys writes to stdout and keeps its designs.
_TABLE = re.compile(r"  wire \[(\d+):0\] (literal_\d+)\[(\d+)\];\n  assign \2 = '\{[^;]*;\n")
SCRIPT = """
import sys
from pyosys import libyosys
sources, top, log, statistics = sys.argv[1].split(","), *sys.argv[2:]
design = libyosys.Design()
for source in sources:
    libyosys.run_pass(f"read_verilog -sv -D SYNTHESIS {source}", design)
libyosys.run_pass(f"tee -q -o {log} {RECIPE} -top {top}", design)
libyosys.run_pass(f"tee -q -o {statistics} stat -json -tech xilinx", design)
"""


@dataclass(frozen=True)
class Area:
    """Cells of one leaf, its registers of inputs and outputs included."""

    dsp: int
    lut: int
    ff: int


def counted(cells: dict[str, int]) -> Area:
    """Cells by yosys's names for them."""

    def total(pattern: str) -> int:
        return sum(count for name, count in cells.items() if re.fullmatch(pattern, name))

    return Area(total("DSP48E2"), total(r"LUT\d"), total(r"FD[RSCP]E|LD[CP]E"))


def without_tables(text: str) -> str:
    """A leaf's SystemVerilog with its constant tables as modules that yosys does not see into: the kernels hold them in
    block RAM."""
    boxes = ""
    for bits, name, length in _TABLE.findall(text):
        index = (int(length) - 1).bit_length() - 1
        boxes += f"(* blackbox *) module {name}(input [{index}:0] at, output [{bits}:0] value);\nendmodule\n"
        read = re.compile(rf"assign (\w+) = {name}\[([^;]*)\];")
        text = read.sub(rf"{name} of_\1 (.at(\2), .value(\1));", text)
    rest = _TABLE.sub("", text)
    if left := re.search(r"literal_\d+\[", rest):
        raise PeelVitError(f"a table of a leaf is read in a form that is not known: {left[0]}")
    return rest + boxes


def synthesise(sources: list[Path], top: str, folder: Path) -> Area:
    """Area of module `top`; kept in `folder` and taken from there while the sources stay the same."""
    key = hashlib.sha256("\0".join([RECIPE, *(path.read_text() for path in sources)]).encode()).hexdigest()
    kept = folder / f"{top}.area.json"
    if kept.is_file() and (known := json.loads(kept.read_text()))["key"] == key:
        return Area(**known["area"])
    log, statistics = folder / f"{top}.yosys.log", folder / f"{top}.cells.json"
    script = SCRIPT.replace("{RECIPE}", RECIPE)
    arguments = [",".join(map(str, sources)), top, str(log), str(statistics)]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        log.write_text(done.stdout + done.stderr)
        raise PeelVitError(f"yosys does not synthesise leaf {top}; its messages are in {log}")
    area = counted(json.loads(statistics.read_text())["design"]["num_cells_by_type"])
    kept.write_text(json.dumps({"key": key, "area": asdict(area)}))
    return area
