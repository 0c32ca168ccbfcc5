"""What a run's checkpoint says of its model, as options of `python -m trainer.export`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from trainer.engine.checkpoint import FORMAT
from trainer.engine.job import settings
from trainer.options import DEFAULTS, from_plain

_SAME = (
    "model", "img_size", "token_method", "attention_method", "select_before", "selector_placement", "token_keep",
    "attention_keep",
)  # fmt: skip
_METHODS = ("token_method", "attention_method")


def of_run(content: Any, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The run's settings, as far as it has any, by option; nothing where `content` is no run's checkpoint.

    The channels of the images are those of `weights`.
    """
    if not isinstance(content, Mapping) or content.get("format") != FORMAT or "options" not in content:
        return {}
    saved = DEFAULTS | from_plain(content["options"])
    found = {name: saved[name] for name in _SAME}
    found |= {"num_classes": content["setting"]["classes"], "in_chans": _channels(weights)}
    found |= {"method_option": list(settings(saved["method_option"]).items())}
    return {name: value for name, value in found.items() if value not in (None, [])}


def _channels(weights: Mapping[str, Tensor]) -> int | None:
    """Input channels of the first convolution of the patch embedding."""
    stems = (tensor for name, tensor in weights.items() if name.startswith("patch_embed.") and tensor.ndim == 4)
    return next((tensor.shape[1] for tensor in stems), None)


def not_given(run: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Those settings of a run that stay beside the options `given`: not what these say, and not what they make void."""
    void = set(given)
    if "level" in given:
        void |= {"token_keep", "attention_keep"}
    if any(name in run and given.get(name, run[name]) != run[name] for name in _METHODS):
        void.add("method_option")  # of another method
    return {name: value for name, value in run.items() if name not in void}


def told(run: Mapping[str, Any], path: Path) -> str:
    """One line: what was taken from the run's checkpoint at `path`, written as options."""
    return f"from {path}: {' '.join(_written(name, value) for name, value in run.items())}"


def _written(name: str, value: Any) -> str:
    flag = f"--{name.replace('_', '-')}"
    if name == "method_option":
        return " ".join(f"{flag} {key}={setting}" for key, setting in value)
    return f"{flag} {','.join(map(str, value)) if isinstance(value, tuple) else value}"
