"""The layers of LV-ViT: a convolutional stem, the blocks of a ViT, and a head for every token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from trainer.cost.layer import Layer, linear
from trainer.cost.methods import TokenSetting
from trainer.cost.tokens import Flow, Run, dense
from trainer.cost.vit import block_layers, method_layers
from trainer.keep import DENSE, Keep
from trainer.models.lvvit import LvvitConfig


@dataclass(frozen=True)
class LvvitCost:
    """The cost of an LV-ViT under a token method."""

    config: LvvitConfig
    setting: TokenSetting = field(default_factory=TokenSetting)

    def flow(self, keep: Keep = DENSE, training: bool = False) -> Flow:
        """Tokens of the blocks."""
        return self.setting.flow(Run(self.config.patches, self.config.depth, self.config.dim), keep, training)

    def layers(self, flow: Flow) -> Iterator[Layer]:
        """All layers for one image."""
        config, stem = self.config, self.config.stem
        pixels, rest = (config.image_size // 2) ** 2, config.patch_size // 2
        yield linear("patch_embed.conv1", pixels, config.channels * 7 * 7, stem, input_gradient=False)
        for name in ("conv2", "conv3"):
            yield linear(f"patch_embed.{name}", pixels, stem * 3 * 3, stem)
        yield linear("patch_embed.proj", config.patches, stem * rest**2, config.dim)
        for index, tokens in enumerate(flow.blocks):
            yield from block_layers(f"blocks.{index}", tokens, config.dim, config.heads, config.mlp_hidden)
        yield linear("head", 1, config.dim, config.classes)
        yield linear("aux_head", flow.leaving, config.dim, config.classes)
        yield from method_layers(flow, self, dense(Run(config.patches, config.depth, config.dim)))
