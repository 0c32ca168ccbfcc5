"""Command lines whose mistakes are told in one sentence."""

from __future__ import annotations

import argparse
import re
from typing import Any, NoReturn

from host.errors import PeelVitError
from host.options import LEVELS

PRESETS = {name if name == "dense" else f"trilevel_{name}": triple for name, triple in LEVELS.items()}
"""Keep ratios of (examples, tokens, attention) by preset."""

Triple = tuple[float, float, float]


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `PeelVitError` instead of printing its usage."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Raise the sentence."""
        raise PeelVitError(f"{message}; --help lists the options")


def places(text: str) -> tuple[int, ...]:
    """Blocks such as `4,7,10`."""
    return tuple(int(part) for part in re.split("[, ]+", text.strip()))


def span(text: str) -> tuple[float, float]:
    """Epochs such as `10:110`."""
    start, end = text.split(":")
    return float(start), float(end)


def setting(text: str) -> tuple[str, Any]:
    """A method's option such as `fused_token=true`."""
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise ValueError
    return name, _value(value)


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


places.__name__, span.__name__, setting.__name__ = "blocks such as 4,7,10", "epochs such as 10:110", "KEY=VALUE"


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """The options that make a model, named as those of `trainer.train`."""
    add = parser.add_argument
    add("--num-classes", type=int, help="classes; default: the model's")
    add("--img-size", type=int, help="image edge in pixels; default: the model's")
    add("--in-chans", type=int, default=3, help="colour channels; default: 3")
    add("--token-method", default="trilevel", help="which tokens stay; default: trilevel")
    add("--attention-method", default="selected", help="which connections stay; default: selected")
    add("--select-before", type=places, help="blocks behind selectors, from 1; default: the model's")
    add(
        "--selector-placement", choices=("before", "inside"), default="before", help="of the selectors; default: before"
    )
    add(
        "--method-option",
        type=setting,
        action="append",
        default=[],
        help="setting KEY=VALUE of the methods; repeatable",
    )


def model_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Those of `trainer.models.registry.create_model`, from parsed `add_model_options`."""
    return {
        "num_classes": options.num_classes,
        "img_size": options.img_size,
        "in_chans": options.in_chans,
        "token_method": options.token_method,
        "attention_method": options.attention_method,
        "select_before": options.select_before,
        "placement": options.selector_placement,
        "method_options": dict(options.method_option),
    }


def keep_triple(level: str | None, examples: float | None, tokens: float | None, attention: float | None) -> Triple:
    """The preset's ratios (1 without one), replaced by those that are given."""
    base, given = PRESETS[level or "dense"], (examples, tokens, attention)
    first, second, third = (old if new is None else new for old, new in zip(base, given, strict=True))
    return first, second, third
