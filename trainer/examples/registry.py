"""Example methods by name."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable
from typing import Any

from host.errors import PeelVitError
from trainer.examples.active_bias import ActiveBias
from trainer.examples.all import AllExamples
from trainer.examples.el2n import El2n
from trainer.examples.forgetting import Forgetting
from trainer.examples.infobatch import InfoBatch
from trainer.examples.method import ExampleMethod
from trainer.examples.random import RandomExchange
from trainer.examples.trilevel import TriLevel

EXAMPLE_METHODS: dict[str, type[ExampleMethod]] = {
    method.name: method for method in (AllExamples, TriLevel, RandomExchange, ActiveBias, Forgetting, El2n, InfoBatch)
}


def example_method_names() -> list[str]:
    """All names, the ordinary training first."""
    return list(EXAMPLE_METHODS)


def example_method_options(name: str) -> dict[str, Any]:
    """The method's own options with their defaults, None where the method decides; `PeelVitError` for no such method.

    What they mean is in the docstring of the method's class.
    """
    parameters = inspect.signature(_method(name)).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def create_example_method(
    name: str, n: int, *, keep_ratio: float = 1.0, epochs: int, seed: int = 0, **options: Any
) -> ExampleMethod:
    """The method `name` for a data set of `n` examples and a run of `epochs`.

    Arguments:
        keep_ratio: part of the examples shown; 1 for the methods that have none (`all`, `infobatch`).
        options: those of `example_method_options`; as text, they are converted.

    Raises `PeelVitError` for an unknown name or option, and for values that cannot work.
    """
    method, known = _method(name), example_method_options(name)
    for option in options:
        if option not in known:
            raise PeelVitError(
                f"the example method '{name}' has no option '{option}'; "
                + (f"choose {_suggestion(option, known)}" if known else "it has none")
            )
    values = {option: _number(f"{name} option {option}", value, known[option]) for option, value in options.items()}
    return method(n, keep_ratio, epochs, seed, **values)


def _method(name: str) -> type[ExampleMethod]:
    if name not in EXAMPLE_METHODS:
        raise PeelVitError(f"there is no example method '{name}'; choose {_suggestion(name, EXAMPLE_METHODS)}")
    return EXAMPLE_METHODS[name]


def _suggestion(name: str, choices: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, choices, 1)
    return near[0] if near else "one of " + ", ".join(choices)


def _number(what: str, value: Any, default: float | int | None) -> float | int | None:
    """`value` as a number of the default's kind; where the default is None, a whole number or None."""
    if default is None and value in (None, "none", "None"):
        return None
    kind = float if isinstance(default, float) else int
    try:
        number = kind(value)
    except (TypeError, ValueError):
        number = None
    if number is None or isinstance(value, bool) or (not isinstance(value, str) and number != value):
        raise PeelVitError(f"the {what} is {value!r}; give a {'number' if kind is float else 'whole number'}")
    return number
