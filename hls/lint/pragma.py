"""An HLS pragma taken apart: directive, `key=value` options and bare words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hls.lint.source import RawPragma

_SPACED_EQUALS = re.compile(r"\s*=\s*")
_FOREIGN = {"once", "gcc", "clang", "stdc", "pack", "message", "push_macro", "pop_macro", "omp"}


@dataclass(frozen=True)
class Pragma:
    """`#pragma HLS directive key=value word`; all but values in lower case, as Vitis HLS ignores case."""

    line: int
    namespace: str
    directive: str
    options: dict[str, str]
    words: tuple[str, ...]

    @property
    def is_off(self) -> bool:
        """Whether the pragma switches off what it names."""
        return "off" in self.words or self.options.get("off", "false").lower() == "true"


def parse_pragma(raw: RawPragma) -> Pragma | None:
    """The pragma, or None for those of other tools (`once`, `GCC`, ...)."""
    namespace, _, rest = raw.text.partition(" ")
    if namespace.lower() in _FOREIGN:
        return None
    parts = _SPACED_EQUALS.sub("=", rest).split()
    pairs = [part.split("=", 1) for part in parts[1:] if "=" in part]
    words = tuple(part.lower() for part in parts[1:] if "=" not in part)
    directive = parts[0].lower() if parts else ""
    return Pragma(raw.line, namespace, directive, {key.lower(): value for key, value in pairs}, words)
