"""The table of rules: each is a function from a unit to the places that break it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hls.lint.unit import Unit

Hit = tuple[int, str]
"""Physical line, and a sentence that says what is wrong and what to do."""

Check = Callable[["Unit"], Iterator[Hit]]


@dataclass(frozen=True)
class Rule:
    """A rule; where it hits a line, the rules in `hides` say nothing about that line, as it explains them."""

    id: str
    summary: str
    check: Check
    hides: tuple[str, ...] = ()


RULES: dict[str, Rule] = {}


def rule(identifier: str, hides: tuple[str, ...] = ()) -> Callable[[Check], Check]:
    """Register the decorated check under `identifier`; its docstring is the rule's summary."""

    def register(check: Check) -> Check:
        assert identifier not in RULES, identifier
        RULES[identifier] = Rule(identifier, check.__doc__ or "", check, hides)
        return check

    return register


def load_rules() -> dict[str, Rule]:
    """Import every module of `hls.lint.rules`, which registers its rules, and return the table."""
    package = importlib.import_module("hls.lint.rules")
    for module in pkgutil.iter_modules(package.__path__, "hls.lint.rules."):
        importlib.import_module(module.name)
    return RULES
