"""Swins by name: timm's at 224 pixels, and two of our own for images of 32."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from host.errors import PeelVitError
from trainer.models.request import ModelRequest
from trainer.models.swin import SwinConfig, SwinTransformer
from trainer.models.swin_tokens import WINDOW_METHODS, default_places
from trainer.tokens.method import DenseFlow, TokenMethod

PRESETS = (
    SwinConfig("swin_tiny_patch4_window7_224", 224, 4, 3, 96, (2, 2, 6, 2), (3, 6, 12, 24), 7, 1000),
    SwinConfig("swin_small_patch4_window7_224", 224, 4, 3, 96, (2, 2, 18, 2), (3, 6, 12, 24), 7, 1000),
    SwinConfig("swin_mini_patch2_window4_32", 32, 2, 3, 48, (2, 2, 6), (2, 4, 8), 4, 10),
    SwinConfig("swin_micro_patch2_window4_32", 32, 2, 3, 16, (2, 2, 6), (1, 2, 4), 4, 10),
)


def build_swin(config: SwinConfig, request: ModelRequest) -> SwinTransformer:
    """A Swin."""
    config = request.sized(config)
    if request.attention_method != "selected":
        raise PeelVitError(
            f"the attention method {request.attention_method} does not work inside the windows of {config.name}; "
            "use selected"
        )
    if request.placement != "before":
        raise PeelVitError(f"the selectors of {config.name} stand before blocks; use the placement before")
    if request.method_options:
        raise PeelVitError(f"{config.name} has no method options; leave out {', '.join(request.method_options)}")
    return SwinTransformer(
        config,
        _token_method(request.token_method, config, request.select_before),
        request.seed,
        drop_path_rate=request.drop_path_rate,
        dynamic_img_size=request.dynamic_img_size,
    )


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
