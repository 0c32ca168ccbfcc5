"""What the readers of text reports share: tables of `| a | b |` lines, and the sentence for a file that is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from host.errors import PeelVitError


def content(path: Path, what: str) -> str:
    """The text of a report; `PeelVitError` when it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise PeelVitError(
            f"cannot read the {what} {path} ({error.strerror}); run the stage that writes it again"
        ) from None


def rows(text: str) -> Iterator[list[str]]:
    """Cells of the lines of a report's tables; indentation of the first cell, which shows hierarchy, is lost."""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("|") and stripped.endswith("|"):
            yield [cell.strip() for cell in stripped[1:-1].split("|")]


def number(text: str) -> float | None:
    """A number, or None for a dash, `NA` and empty cells; `<0.01` counts as 0.01."""
    try:
        return float(text.lstrip("<").replace(",", ""))
    except ValueError:
        return None
