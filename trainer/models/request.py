"""What a model is asked for besides its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.models.base import Config, with_sizes
from trainer.tokens.method import TokenMethod
from trainer.tokens.registry import ModelFacts, create_token_method


@dataclass(frozen=True, kw_only=True)
class ModelRequest:
    """The arguments of `trainer.models.registry.create_model`, which explains them."""

    num_classes: int | None
    img_size: int | None
    in_chans: int
    drop_path_rate: float
    token_method: str
    attention_method: str
    select_before: Sequence[int] | None
    placement: str
    method_options: Mapping[str, Any] | None
    dynamic_img_size: bool
    seed: int

    def sized(self, config: Config) -> Config:
        """`config` with the sizes that are asked for."""
        return with_sizes(config, num_classes=self.num_classes, img_size=self.img_size, in_chans=self.in_chans)

    def method(self, facts: ModelFacts, places: Sequence[int]) -> TokenMethod:
        """The token method, with selectors before the blocks `places` unless others are asked for."""
        return create_token_method(
            self.token_method,
            facts,
            places if self.select_before is None else self.select_before,
            placement=self.placement,
            attention_method=self.attention_method,
            options=self.method_options,
        )
