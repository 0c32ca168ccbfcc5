"""Command lines whose mistakes are told in one sentence."""

from __future__ import annotations

import argparse
from typing import Any

import yaml

from host.command_line import places
from trainer.options import LEVELS

Triple = tuple[float, float, float]


def setting(text: str) -> tuple[str, Any]:
    """A method's option such as `fused_token=true`."""
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise ValueError
    return name, yaml.safe_load(value)


setting.__name__ = "KEY=VALUE"


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
    base, given = LEVELS[level or "dense"], (examples, tokens, attention)
    first, second, third = (old if new is None else new for old, new in zip(base, given, strict=True))
    return first, second, third
