"""The layers of ViT and DeiT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from host.model import TokenPlan, ViTConfig
from trainer.cost.layer import Layer, attention, linear, sparse_attention
from trainer.cost.methods import TokenSetting
from trainer.cost.model import Architecture
from trainer.cost.tokens import BlockTokens, Flow, Run, dense
from trainer.keep import DENSE, Keep


@dataclass(frozen=True)
class ViTCost:
    """The cost of a ViT or DeiT under a token method."""

    config: ViTConfig
    setting: TokenSetting = field(default_factory=TokenSetting)

    def flow(self, keep: Keep = DENSE, training: bool = False) -> Flow:
        """Tokens of the blocks."""
        return self.setting.flow(Run(self.config.patches, self.config.depth, self.config.dim), keep, training)

    def layers(self, flow: Flow) -> Iterator[Layer]:
        """All layers for one image; every block computes all of its rows, the last one too."""
        config = self.config
        yield linear("patch_embed.proj", config.patches, config.patch_features, config.dim, input_gradient=False)
        for index, tokens in enumerate(flow.blocks):
            yield from block_layers(f"blocks.{index}", tokens, config.dim, config.heads, config.mlp_hidden)
        yield linear("head", 1, config.dim, config.classes)
        yield from method_layers(flow, self, dense(Run(config.patches, config.depth, config.dim)))


def method_layers(flow: Flow, model: Architecture, everything: Flow) -> Iterator[Layer]:
    """What a token method computes besides the model: its own layers, and those of a teacher, the same model where
    `everything` is computed.
    """
    for predictor in flow.predictors:
        name, rows, inputs, outputs, input_gradient = predictor
        yield linear(f"token_method.{name}", rows, inputs, outputs, input_gradient=input_gradient)
    if flow.teacher:
        for layer in model.layers(everything):
            yield replace(layer, name=f"teacher.{layer.name}", learns=False)


def block_layers(
    name: str, tokens: BlockTokens, dim: int, heads: int, mlp_hidden: int, prefix: int = 1
) -> Iterator[Layer]:
    """One pre-norm block with `prefix` class tokens (1 or 0)."""
    rows = prefix + tokens.attention
    yield linear(f"{name}.attn.qkv", rows, dim, 3 * dim)
    yield from _attention_layers(f"{name}.attn", tokens, heads, dim // heads, prefix)
    yield linear(f"{name}.attn.proj", rows, dim, dim)
    rows = prefix + tokens.feed_forward
    yield linear(f"{name}.mlp.fc1", rows, dim, mlp_hidden)
    yield linear(f"{name}.mlp.fc2", rows, mlp_hidden, dim)


def _attention_layers(name: str, tokens: BlockTokens, heads: int, head_dim: int, prefix: int) -> Iterator[Layer]:
    count, always = tokens.attention, prefix + tokens.fused
    if tokens.key_count is None:
        yield attention(name, 1, prefix + count, heads, head_dim)
    elif always == 1:
        yield sparse_attention(name, 1, count, heads, head_dim, tokens.key_count)
    else:  # the op has exactly one token that is always a key: split into queries of all keys and queries of their own
        if always:
            yield attention(f"{name}.all", 1, prefix + count, heads, head_dim, queries=always)
        patches = count - tokens.fused
        yield attention(f"{name}.own", patches, always + tokens.key_count, heads, head_dim, queries=1)


def device_layers(model: ViTConfig, plan: TokenPlan, batch: int = 1) -> Iterator[Layer]:
    """All layers as the accelerator computes them.

    Heads are padded to whole memory words, and behind the keys and values of the last block only class rows exist.
    """
    yield linear("patch_embed.proj", batch * model.patches, model.patch_features, model.dim, input_gradient=False)
    for index, block in enumerate(plan.blocks):
        name, width, last = f"blocks.{index}", model.attention_width, index == model.depth - 1
        tokens = 1 + block.patches
        yield linear(f"{name}.attn.qkv", batch * tokens, model.dim, 3 * width)
        if block.key_count is None or last:
            queries = 1 if last else tokens
            yield attention(f"{name}.attn", batch, tokens, model.heads, model.padded_head_dim, queries=queries)
        else:
            yield sparse_attention(
                f"{name}.attn", batch, block.patches, model.heads, model.padded_head_dim, block.key_count
            )
        rows = batch * (1 if last else tokens)
        yield linear(f"{name}.attn.proj", rows, width, model.dim)
        yield linear(f"{name}.mlp.fc1", rows, model.dim, model.mlp_hidden)
        yield linear(f"{name}.mlp.fc2", rows, model.mlp_hidden, model.dim)
    yield linear("head", batch, model.dim, model.classes)
