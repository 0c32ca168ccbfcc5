"""Models by timm's names."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from host.errors import PeelVitError
from host.model import PRESETS, SELECT_BEFORE, ViTConfig, parse_model
from trainer.models.base import ImageClassifier
from trainer.models.request import ModelRequest
from trainer.models.vit import VisionTransformer
from trainer.tokens.registry import ModelFacts, suggestion

Builder = Callable[[ModelRequest], ImageClassifier]

VITS = PRESETS | {
    config.name: config for config in (ViTConfig("deit_base_patch16_224", 224, 16, 3, 768, 12, 12, 3072, 1000),)
}


def build_vit(config: ViTConfig, request: ModelRequest) -> VisionTransformer:
    """A DeiT or another plain ViT."""
    config = request.sized(config)
    facts = ModelFacts(config.dim, config.heads, config.depth, config.patches, config.classes, request.seed)
    method = request.method(facts, SELECT_BEFORE)
    return VisionTransformer(
        config,
        method,
        request.seed,
        drop_path_rate=request.drop_path_rate,
        dynamic_img_size=request.dynamic_img_size,
    )


@cache
def architectures() -> dict[str, Builder]:
    """All builders by name: the ViTs, and `ARCHITECTURES` of every other file in this folder that has them."""
    found: dict[str, Builder] = {name: partial(build_vit, config) for name, config in VITS.items()}
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        if path.stem != "registry":
            module = importlib.import_module(f"trainer.models.{path.stem}")
            found |= getattr(module, "ARCHITECTURES", {})
    return found


def model_names() -> list[str]:
    """Names that `create_model` knows; besides them any `vit:image=32,patch=4,...` of `host.model.parse_model`."""
    return list(architectures())


def create_model(
    name: str,
    *,
    num_classes: int | None = None,
    img_size: int | None = None,
    in_chans: int = 3,
    drop_path_rate: float = 0.0,
    token_method: str = "trilevel",
    attention_method: str = "selected",
    select_before: Sequence[int] | None = None,
    placement: str = "before",
    method_options: Mapping[str, Any] | None = None,
    dynamic_img_size: bool = False,
    seed: int = 0,
) -> ImageClassifier:
    """The model `name` with fresh weights of `seed`.

    Arguments:
        name: one of `model_names()`, or `vit:image=32,patch=4,dim=64,depth=4,heads=2,mlp=128`.
        num_classes, img_size: instead of the name's own.
        in_chans: channels of the images.
        drop_path_rate: stochastic depth of the last block.
        token_method, attention_method: by the names of `trainer.tokens.registry`.
        select_before: one-based blocks with a selector; None: the family's own (4, 7, 10 for a ViT).
        placement: of the selectors, `before` those blocks or `inside` them.
        method_options: the methods' own options by name.
        dynamic_img_size: take images of other sizes too.
        seed: of the weights.

    Raises `PeelVitError` for names and sizes that cannot be.
    """
    if not 0.0 <= drop_path_rate < 1.0:
        raise PeelVitError(f"the drop-path rate is {drop_path_rate}; give a number from 0 and below 1")
    request = ModelRequest(
        num_classes=num_classes,
        img_size=img_size,
        in_chans=in_chans,
        drop_path_rate=drop_path_rate,
        token_method=token_method,
        attention_method=attention_method,
        select_before=select_before,
        placement=placement,
        method_options=method_options,
        dynamic_img_size=dynamic_img_size,
        seed=seed,
    )
    if name.startswith("vit:"):
        return build_vit(parse_model(name, classes=num_classes, channels=in_chans), request)
    builders = architectures()
    if name not in builders:
        raise PeelVitError(f"there is no model {name!r}; choose {suggestion(name, builders)}")
    return builders[name](request)
