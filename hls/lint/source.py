"""Preprocessed source, its map back to the files it came from, and the HLS pragmas and `// lint:` comments in them.

Kernels state pragmas both as `#pragma HLS ...` and through macros (`_Pragma`). After `g++ -E` both are plain `#pragma`
lines, and line markers tell where each line came from; a *physical* line below is a line of that preprocessed text.
"""

from __future__ import annotations

import bisect
import functools
import importlib.util
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hls.lint.errors import LintError

STANDARD = "c++14"  # what Vitis HLS 2021.1 compiles by default
STAND_IN = Path(__file__).parent / "stand_in"

# libclang parses what g++ preprocessed, so the system headers must choose their clang side, not their g++ side.
CLANG_IDENTITY = (
    "-U__GNUC__", "-D__GNUC__=4", "-U__GNUC_MINOR__", "-D__GNUC_MINOR__=2", "-D__clang__=1",
    "-D__has_builtin(x)=__lint_has_##x", "-D__lint_has___make_integer_seq=1",
)  # fmt: skip

_MARKER = re.compile(rb'^# (\d+) "((?:[^"\\]|\\.)*)"((?: \d)*)\s*$')
_PRAGMA = re.compile(rb"^\s*#\s*pragma\s+(.*)$")
_COMMENT = re.compile(r"//\s*lint:\s*(.*?)\s*(?://.*)?$")
_SYSTEM_FLAG = b"3"


@dataclass(frozen=True)
class Origin:
    """Where a physical line came from."""

    file: str
    line: int
    system: bool


@dataclass(frozen=True)
class RawPragma:
    """A pragma as written: its physical line and the text after `#pragma`."""

    line: int
    text: str


@dataclass
class Source:
    """One preprocessed translation unit."""

    path: Path
    data: bytes
    starts: list[int] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    pragmas: list[RawPragma] = field(default_factory=list)

    def __post_init__(self) -> None:
        for number, line in enumerate(self.data.split(b"\n"), 1):
            if marker := _MARKER.match(line):
                self._begin_segment(number + 1, marker)
            elif (pragma := _PRAGMA.match(line)) and not self.origin(number).system:
                self.pragmas.append(RawPragma(number, pragma[1].decode(errors="replace").strip()))

    def _begin_segment(self, physical: int, marker: re.Match[bytes]) -> None:
        name = marker[2].decode(errors="replace").replace("\\\\", "\\")
        self.starts.append(physical)
        self.origins.append(Origin(name, int(marker[1]), _SYSTEM_FLAG in marker[3].split()))

    def origin(self, physical: int) -> Origin:
        """File and line that physical line `physical` came from."""
        index = bisect.bisect_right(self.starts, physical) - 1
        if index < 0:
            return Origin("<none>", 0, True)
        first = self.origins[index]
        return Origin(first.file, first.line + physical - self.starts[index], first.system)

    @functools.cached_property
    def files(self) -> set[Path]:
        """Every file of the unit that is no system header, resolved."""
        return {resolve(origin.file) for origin in self.origins if not origin.system and origin.file[:1] != "<"}


@functools.cache
def resolve(name: str) -> Path:
    """Absolute path of a name in a line marker."""
    return Path(name).resolve()


def comments(path: Path) -> dict[int, str]:
    """The text after `// lint:` by line of the file as it was written."""
    lines = path.read_text(errors="replace").splitlines()
    return {number: found[1] for number, line in enumerate(lines, 1) if (found := _COMMENT.search(line))}


def ap_types() -> Path | None:
    """Directory of the open-source ap_int.h that the PyPI package hls4ml ships; None where it is not installed."""
    spec = importlib.util.find_spec("hls4ml")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "templates/vivado/ap_types"


def preprocess(path: Path, includes: Sequence[str], macros: Sequence[str], standard: str, compiler: str) -> Source:
    """Preprocess `path` as Vitis HLS would see it (`__SYNTHESIS__` defined); LintError if that fails."""
    command = [compiler, "-E", "-w", "-x", "c++", f"-std={standard}", *CLANG_IDENTITY, "-D__SYNTHESIS__"]
    command += [f"-I{directory}" for directory in includes] + [f"-D{macro}" for macro in macros]
    for directory in _system_directories():
        command += ["-isystem", str(directory)]
    try:
        done = subprocess.run([*command, str(path)], capture_output=True)
    except FileNotFoundError:
        raise LintError(f"The compiler {compiler} is not installed; install g++ or name another with --cxx.") from None
    if done.returncode:
        raise LintError(_first_error(path, done.stderr.decode(errors="replace")))
    return Source(path, done.stdout)


def _system_directories() -> Iterator[Path]:
    yield STAND_IN
    if (types := ap_types()) is not None:
        yield types


def _first_error(path: Path, log: str) -> str:
    reason = next((line for line in log.splitlines() if "error:" in line), log.strip() or "no message").strip()
    if "ap_int.h" in reason or "ap_fixed.h" in reason:
        return f"{path} includes the ap types, which are not installed; `pip install --no-deps hls4ml` brings them."
    return f"{path} cannot be preprocessed ({reason}); fix it or add its include directories with -I."
