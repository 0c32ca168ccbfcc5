"""What the command lines of all programs share: mistakes told in one sentence, and values of more than one number."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable
from typing import NoReturn

from host.errors import PeelVitError


class Parser(argparse.ArgumentParser):
    """Raises `PeelVitError` instead of printing the usage; options are not abbreviated."""

    def __init__(self, **settings: object) -> None:
        super().__init__(allow_abbrev=False, **settings)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Raise the sentence."""
        raise mistake(message, self._option_string_actions)


def mistake(message: str, options: Iterable[str]) -> PeelVitError:
    """What argparse complains of as one sentence, with the nearest of `options` for one that there is not."""
    unknown = re.match(r"unrecognized arguments: (\S+)", message)
    if unknown is None:
        return PeelVitError(f"{message}; --help lists the options")
    name = unknown[1].split("=")[0]
    near = difflib.get_close_matches(name, options, 1)
    advice = f"did you mean {near[0]}?" if near else "--help lists the options"
    return PeelVitError(f"there is no option {name}; {advice}")


def places(text: str) -> tuple[int, ...]:
    """Blocks such as `4,7,10`."""
    return tuple(int(part) for part in re.split("[, ]+", text.strip()))


def span(text: str) -> tuple[float, float]:
    """Epochs such as `10:110`."""
    start, end = text.split(":")
    return float(start), float(end)


# argparse names a converter in its complaint.
places.__name__, span.__name__ = "list of blocks such as 4,7,10", "span of epochs such as 1:4"
