"""The cost of models by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from host.errors import PeelVitError
from host.model import SELECT_BEFORE, parse_model
from trainer.cost.methods import TokenSetting
from trainer.cost.model import Architecture
from trainer.cost.vit import ViTCost
from trainer.models.registry import VITS, model_names


def describe(
    name: str,
    *,
    num_classes: int | None = None,
    img_size: int | None = None,
    in_chans: int = 3,
    token_method: str = "trilevel",
    attention_method: str = "selected",
    select_before: Sequence[int] | None = None,
    placement: str = "before",
    method_options: Mapping[str, Any] | None = None,
) -> Architecture:
    """The layers of the model that `trainer.models.registry.create_model` makes of the same arguments."""
    sizes = {"classes": num_classes, "image_size": img_size, "channels": in_chans}
    sizes = {key: value for key, value in sizes.items() if value is not None}
    method = {"token_method": token_method, "attention_method": attention_method, "placement": placement}
    if name.startswith("vit:") or name in VITS:
        config = parse_model(name, classes=num_classes, channels=in_chans) if name.startswith("vit:") else VITS[name]
        setting = TokenSetting(
            select_before=tuple(select_before or SELECT_BEFORE), method_options=dict(method_options or {}), **method
        )
        return ViTCost(replace(config, **sizes), setting)
    raise PeelVitError(f"the cost of {name} is not described; choose one of {', '.join(model_names())}")
