"""The cost of models by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from host.errors import PeelVitError
from host.model import SELECT_BEFORE, parse_model
from trainer.cost.lvvit import LvvitCost
from trainer.cost.methods import TokenSetting
from trainer.cost.model import Architecture
from trainer.cost.pit import PitCost
from trainer.cost.swin import SwinCost
from trainer.cost.vit import ViTCost
from trainer.models import lvvit, pit, swin_models
from trainer.models.base import with_sizes
from trainer.models.registry import VITS
from trainer.models.swin_tokens import default_places

Described = tuple[Any, tuple[int, ...], Callable[[Any, TokenSetting], Architecture]]
"""Configuration, the family's own places of selectors, and what describes its cost."""


@cache
def described() -> dict[str, Described]:
    """All models by name."""
    models: dict[str, Described] = {name: (config, SELECT_BEFORE, ViTCost) for name, config in VITS.items()}
    models |= {config.name: (config, default_places(config.stages), SwinCost) for config in swin_models.PRESETS}
    models |= {config.name: (config, config.select_before, PitCost) for config in pit.PRESETS}
    return models | {config.name: (config, config.select_before, LvvitCost) for config in lvvit.PRESETS}


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
    if name.startswith("vit:"):
        found: Described = (parse_model(name, classes=num_classes, channels=in_chans), SELECT_BEFORE, ViTCost)
    elif name in described():
        found = described()[name]
    else:
        raise PeelVitError(f"there is no model {name}; choose one of {', '.join(described())}")
    config, places, cost = found
    config = with_sizes(config, num_classes=num_classes, img_size=img_size, in_chans=in_chans)
    if select_before is not None:
        places = tuple(select_before)
    return cost(config, TokenSetting(token_method, attention_method, places, placement, dict(method_options or {})))
