"""The layers of PiT: stages of blocks, each on a whole grid again, with depthwise pooling between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from trainer.cost.layer import Layer, linear
from trainer.cost.methods import TokenSetting
from trainer.cost.tokens import Flow, Run
from trainer.cost.vit import block_layers
from trainer.keep import DENSE, Keep
from trainer.models.pit import POOL, PitConfig


@dataclass(frozen=True)
class PitCost:
    """The cost of a PiT under a token method, which runs stage by stage."""

    config: PitConfig
    setting: TokenSetting = field(default_factory=TokenSetting)

    def flow(self, keep: Keep = DENSE, training: bool = False) -> tuple[Flow, ...]:
        """Tokens of the blocks of each stage."""
        first, flows = 0, []
        for stage in self.config.stages:
            flows.append(self.setting.flow(Run(stage.grid**2, stage.depth, stage.dim, first), keep, training))
            first += stage.depth
        return tuple(flows)

    def layers(self, flows: tuple[Flow, ...]) -> Iterator[Layer]:
        """All layers for one image."""
        config, stages = self.config, self.config.stages
        features = config.channels * config.patch_size**2
        yield linear("patch_embed.conv", stages[0].grid ** 2, features, stages[0].dim, input_gradient=False)
        for number, (stage, flow) in enumerate(zip(stages, flows, strict=True)):
            name = f"transformers.{number}"
            if number:
                yield linear(f"{name}.pool.conv", stage.grid**2, (POOL + 1) ** 2, stage.dim)
                yield linear(f"{name}.pool.fc", 1, stages[number - 1].dim, stage.dim)
            for block, tokens in enumerate(flow.blocks):
                yield from block_layers(f"{name}.blocks.{block}", tokens, stage.dim, stage.heads, stage.mlp_hidden)
        yield linear("head", 1, stages[-1].dim, config.classes)
