"""The layers of Swin: windows that compute all of their slots or, from a selector on, the best ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from host.errors import PeelVitError
from trainer.cost.layer import Layer, attention, linear
from trainer.cost.methods import TokenSetting
from trainer.keep import DENSE, Keep
from trainer.models.swin import SwinConfig, SwinStage


class WindowTokens(NamedTuple):
    """Slots that each window of a block computes (None: all), and keys of each (None: all that are computed)."""

    slots: int | None = None
    key_count: int | None = None


@dataclass(frozen=True)
class SwinCost:
    """The cost of a Swin whose selectors work inside the windows, as in `trainer.models.swin_tokens`."""

    config: SwinConfig
    setting: TokenSetting = field(default_factory=TokenSetting)

    def flow(self, keep: Keep = DENSE, training: bool = False) -> tuple[WindowTokens, ...]:
        """Tokens of all blocks."""
        selects = {"dense": False, "trilevel": True, "patch_dropout": training}
        method = self.setting.token_method
        if method not in selects:
            raise PeelVitError(f"the cost of {method} in {self.config.name} is unknown; choose {', '.join(selects)}")
        flow: list[WindowTokens] = []
        for stage in self.config.stages:
            tokens = WindowTokens()
            for _ in range(stage.depth):
                choice = None
                if selects[method] and len(flow) + 1 in self.setting.select_before:
                    choice = keep.choice(0, tokens.slots or stage.window**2)
                if choice is not None:
                    tokens = WindowTokens(choice.token_count, choice.key_count)
                flow.append(tokens)
        return tuple(flow)

    def layers(self, flow: tuple[WindowTokens, ...]) -> Iterator[Layer]:
        """All layers for one image."""
        config, tokens = self.config, iter(flow)
        features = config.channels * config.patch_size**2
        yield linear("patch_embed.proj", config.stages[0].grid ** 2, features, config.dim, input_gradient=False)
        for number, stage in enumerate(config.stages):
            if number:
                yield linear(f"layers.{number}.downsample.reduction", stage.grid**2, 2 * stage.dim, stage.dim)
            for block in range(stage.depth):
                yield from _block_layers(f"layers.{number}.blocks.{block}", stage, block, next(tokens))
        yield linear("head.fc", 1, config.stages[-1].dim, config.classes)


def _block_layers(name: str, stage: SwinStage, block: int, tokens: WindowTokens) -> Iterator[Layer]:
    partition, dim = stage.partition(block), stage.dim
    windows, head_dim = partition.rows * partition.columns, dim // stage.heads
    slots = tokens.slots or partition.slots
    yield linear(f"{name}.attn.qkv", windows * slots, dim, 3 * dim)
    if tokens.key_count is None:
        yield attention(f"{name}.attn", windows, slots, stage.heads, head_dim)
    else:
        yield attention(f"{name}.attn", windows * slots, tokens.key_count, stage.heads, head_dim, queries=1)
    yield linear(f"{name}.attn.proj", windows * slots, dim, dim)
    rows = partition.tokens if tokens.slots is None else windows * slots  # padding that was chosen is computed too
    yield linear(f"{name}.mlp.fc1", rows, dim, stage.mlp_hidden)
    yield linear(f"{name}.mlp.fc2", rows, stage.mlp_hidden, dim)
