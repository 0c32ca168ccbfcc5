"""What every model is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from torch import Tensor, nn

from trainer.keep import DENSE, KeepSetting
from trainer.models.output import ModelOutput

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from trainer.tokens.method import TokenMethod

Config = TypeVar("Config", bound="DataclassInstance")


class ImageClassifier(nn.Module):
    """A Vision Transformer of any family.

    Attributes:
        config: its sizes; all have `image_size`, `channels`, `classes` and `patch_size`.
        token_method: how tokens flow through its blocks.
    """

    config: Any
    token_method: TokenMethod

    if TYPE_CHECKING:

        def __call__(  # noqa: D102 (that of `forward`)
            self, inputs: Tensor, keep: KeepSetting = DENSE, *, record: dict[str, Tensor] | None = None
        ) -> ModelOutput: ...

    @property
    def selector_places(self) -> tuple[int, ...]:
        """One-based numbers of the blocks with a selector."""
        return tuple(getattr(self.token_method, "places", ()))

    def no_weight_decay(self) -> set[str]:
        """Parameters that are matrices in shape but not in kind."""
        return set()

    @staticmethod
    def timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state dict of the original repository or of an older timm, under today's names, which it may have too."""
        return dict(state)


def with_sizes(config: Config, *, num_classes: int | None, img_size: int | None, in_chans: int | None) -> Config:
    """`config` with those of its sizes that are given."""
    sizes: dict[str, Any] = {"classes": num_classes, "image_size": img_size, "channels": in_chans}
    return replace(config, **{name: value for name, value in sizes.items() if value is not None})
