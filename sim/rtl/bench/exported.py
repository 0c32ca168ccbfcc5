"""Files of an accelerator that Vitis HLS exported, as a bench needs them."""

from __future__ import annotations

import re
from pathlib import Path

from hls.spec.system import TOP
from host.errors import PeelVitError

_MODULE = re.compile(rf"^\s*module\s+{TOP}\b", re.MULTILINE)
_DATA = re.compile(r'\$readmem[hb]\s*\(\s*"([^"]+)"')
_FLOATING_POINT = re.compile(r"\b(floating_point_v\d+_\d+|xip_\w+)\b")


def exported(folder: Path) -> dict[str, str]:
    """Verilog and memory contents by file name, of the folder below `folder` that holds the top module.

    Contents of `$readmemh` go to the folder in which the simulation runs, under the name that the Verilog says.
    `PeelVitError` when there is no top module, a file of contents is missing, or the design has floating-point cores,
    whose sources are encrypted.
    """
    if not folder.is_dir():
        raise PeelVitError(f"there is no folder {folder}; give the one that export_design wrote, by RTL_DIR=")
    tops = [path for path in _verilog(folder, deep=True) if _MODULE.search(_text(path))]
    if not tops:
        raise PeelVitError(f"no Verilog file below {folder} has the module {TOP}; give the folder of export_design")
    home = min(tops, key=lambda path: (len(path.parts), str(path))).parent
    files = {path.name: _text(path) for path in _verilog(home, deep=False)}
    data: dict[str, str] = {}
    for name, text in files.items():
        if core := _FLOATING_POINT.search(text):
            raise PeelVitError(f"{name} needs the encrypted core {core[1]}, which no open simulator runs")
        for wanted in _DATA.findall(text):
            data[wanted.removeprefix("./")] = _contents(home, wanted, name)
    return files | data


def _verilog(folder: Path, deep: bool) -> list[Path]:
    paths = folder.rglob("*") if deep else folder.glob("*")
    return sorted(path for path in paths if path.suffix in (".v", ".sv", ".vh"))


def _text(path: Path) -> str:
    return path.read_text(errors="replace")


def _contents(home: Path, wanted: str, user: str) -> str:
    name = Path(wanted).name
    found = sorted(home.rglob(name)) or sorted(home.parent.rglob(name))
    if not found:
        raise PeelVitError(f"{user} reads {name}, which is not beside it; export the whole folder")
    return found[0].read_text()
