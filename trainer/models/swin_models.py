"""Swins by name: timm's at 224 pixels, and two of our own for images of 32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from host.errors import PeelVitError
from trainer.models.base import with_sizes
from trainer.models.swin import SwinConfig, SwinTransformer
from trainer.models.swin_tokens import WINDOW_METHODS, default_places
from trainer.tokens.method import DenseFlow, TokenMethod

PRESETS = (
    SwinConfig("swin_tiny_patch4_window7_224", 224, 4, 3, 96, (2, 2, 6, 2), (3, 6, 12, 24), 7, 1000),
    SwinConfig("swin_small_patch4_window7_224", 224, 4, 3, 96, (2, 2, 18, 2), (3, 6, 12, 24), 7, 1000),
    SwinConfig("swin_mini_patch2_window4_32", 32, 2, 3, 48, (2, 2, 6), (2, 4, 8), 4, 10),
    SwinConfig("swin_micro_patch2_window4_32", 32, 2, 3, 16, (2, 2, 6), (1, 2, 4), 4, 10),
)


def build_swin(
    config: SwinConfig,
    *,
    num_classes: int | None,
    img_size: int | None,
    in_chans: int,
    drop_path_rate: float,
    token_method: str,
    attention_method: str,
    select_before: Sequence[int] | None,
    placement: str,
    method_options: Mapping[str, Any] | None,
    dynamic_img_size: bool,
    seed: int,
) -> SwinTransformer:
    """A Swin; arguments as in `trainer.models.registry.create_model`."""
    config = with_sizes(config, num_classes=num_classes, img_size=img_size, in_chans=in_chans)
    if attention_method != "selected":
        raise PeelVitError(
            f"the attention method {attention_method} does not work inside the windows of {config.name}; use selected"
        )
    if placement != "before":
        raise PeelVitError(f"the selectors of {config.name} stand before blocks; use the placement before")
    if method_options:
        raise PeelVitError(f"{config.name} has no method options; leave out {', '.join(method_options)}")
    method = _token_method(token_method, config, select_before)
    return SwinTransformer(config, method, seed, drop_path_rate=drop_path_rate, dynamic_img_size=dynamic_img_size)


def _token_method(name: str, config: SwinConfig, select_before: Sequence[int] | None) -> TokenMethod:
    if name == "dense":
        return DenseFlow()
    if name not in WINDOW_METHODS:
        raise PeelVitError(
            f"the token method {name} does not work inside the windows of {config.name}; "
            f"use dense, {' or '.join(WINDOW_METHODS)}"
        )
    places = default_places(config.stages) if select_before is None else select_before
    return WINDOW_METHODS[name]([place for place in places if place <= config.depth], config.stages)


ARCHITECTURES = {config.name: partial(build_swin, config) for config in PRESETS}
