"""The layers of ViT and DeiT."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from host.model import TokenPlan, ViTConfig
from trainer.cost.layer import Layer, attention, linear, sparse_attention
from trainer.cost.tokens import BlockTokens


def vit_layers(model: ViTConfig, tokens: Sequence[BlockTokens], batch: int = 1) -> Iterator[Layer]:
    """All layers for `batch` images; every block computes all of its rows, the last one too."""
    patch_rows = batch * model.patches
    yield linear("patch_embed.proj", patch_rows, model.patch_features, model.dim, input_gradient=False)
    for index, block in enumerate(tokens):
        yield from block_layers(f"blocks.{index}", block, batch, model.dim, model.heads, model.mlp_hidden)
    yield linear("head", batch, model.dim, model.classes)


def block_layers(
    name: str, tokens: BlockTokens, batch: int, dim: int, heads: int, mlp_hidden: int, prefix: int = 1
) -> Iterator[Layer]:
    """One pre-norm block with `prefix` class tokens (1, or 0 with dense attention only)."""
    rows, head_dim = batch * (prefix + tokens.attention), dim // heads
    yield linear(f"{name}.attn.qkv", rows, dim, 3 * dim)
    if tokens.key_count is None:
        yield attention(f"{name}.attn", batch, prefix + tokens.attention, heads, head_dim)
    else:
        yield sparse_attention(f"{name}.attn", batch, tokens.attention, heads, head_dim, tokens.key_count)
    yield linear(f"{name}.attn.proj", rows, dim, dim)
    rows = batch * (prefix + tokens.feed_forward)
    yield linear(f"{name}.mlp.fc1", rows, dim, mlp_hidden)
    yield linear(f"{name}.mlp.fc2", rows, mlp_hidden, dim)


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
