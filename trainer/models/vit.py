"""Vision Transformer in float, with timm's state-dict keys and token & attention selection.

Shapes: B images, C channels, P patch edge, N patches, T = 1 + kept patches tokens, D dimension, H heads,
E = D / H head dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from host.errors import PeelVitError
from trainer.attention import Probabilities, dense_attention, sparse_attention
from trainer.record import Recorder
from trainer.sparsity import gather_tokens, plan_selectors

LAYER_NORM_EPS = 1e-6
INIT_STD = 0.02


class VitShape(Protocol):
    """The attributes that a configuration must have; `host.model.ViTConfig` has them."""

    @property
    def image_size(self) -> int: ...  # noqa: D102

    @property
    def patch_size(self) -> int: ...  # noqa: D102

    @property
    def channels(self) -> int: ...  # noqa: D102

    @property
    def dim(self) -> int: ...  # noqa: D102

    @property
    def depth(self) -> int: ...  # noqa: D102

    @property
    def heads(self) -> int: ...  # noqa: D102

    @property
    def mlp_hidden(self) -> int: ...  # noqa: D102

    @property
    def classes(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class VitOutput:
    """What a forward pass gives.

    Attributes:
        logits: [B, classes].
        kept: per selector the surviving patches, [B, K], counted in the patches that entered the selector.
        keys: per selector the patch keys, [B, K, k], counted in the patches that left it; None where dense.
        class_attention: head-mean class-token row of the last block, [B, T].
        attention_variance: population variance of that row over the surviving patches, [B].
    """

    logits: Tensor
    kept: list[Tensor]
    keys: list[Tensor | None]
    class_attention: Tensor
    attention_variance: Tensor


def extract_patches(images_BCHW: Tensor, patch_size: int) -> Tensor:
    """Non-overlapping patches, row by row, each in the patch weight's order: [B, N, C * P * P]."""
    return functional.unfold(images_BCHW, patch_size, stride=patch_size).transpose(1, 2)


class PatchEmbed(nn.Module):
    """A convolution whose stride is its kernel, computed as a product over extracted patches."""

    def __init__(self, config: VitShape) -> None:
        super().__init__()
        self.image_shape = (config.channels, config.image_size, config.image_size)
        self.patch_size = config.patch_size
        self.proj = nn.Conv2d(config.channels, config.dim, config.patch_size, stride=config.patch_size)

    @property
    def patches_shape(self) -> tuple[int, int]:
        """(N, C * P * P)."""
        channels, height, width = self.image_shape
        return (height // self.patch_size) * (width // self.patch_size), channels * self.patch_size**2

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, N, D] from images [B, C, H, W] or from patches [B, N, C * P * P]."""
        shape = tuple(inputs.shape[1:])
        if shape == self.image_shape:
            inputs = extract_patches(inputs, self.patch_size)
        elif shape != self.patches_shape:
            raise PeelVitError(
                f"the model takes images {self.image_shape} or patches {self.patches_shape} but got {shape}; "
                "resize the images or choose another model"
            )
        return functional.linear(inputs, self.proj.weight.flatten(1), self.proj.bias)


class Attention(nn.Module):
    """Multi-head self-attention, over all keys or over selected ones."""

    def __init__(self, config: VitShape) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.proj = nn.Linear(config.dim, config.dim)

    def forward(self, x_BTD: Tensor, keys: Tensor | None, record: Recorder) -> tuple[Tensor, Probabilities]:
        """[B, T, D] and the probabilities; `keys` [B, K, k] are patch indices, None for dense attention."""
        qkv = record("qkv", self.qkv(x_BTD))
        q, k, v = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        probabilities: Probabilities
        if keys is None:
            context, probabilities = dense_attention(q, k, v, record)
        else:
            context, probabilities = sparse_attention(q, k, v, keys, record)
        return record("proj", self.proj(record("context", context))), probabilities


class Mlp(nn.Module):
    """Two linear layers with an exact (erf) GELU between."""

    def __init__(self, config: VitShape) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.dim, config.mlp_hidden)
        self.fc2 = nn.Linear(config.mlp_hidden, config.dim)

    def forward(self, x_BTD: Tensor, record: Recorder) -> Tensor:
        """[B, T, D]."""
        hidden = record("gelu", functional.gelu(record("fc1", self.fc1(x_BTD))))
        return record("fc2", self.fc2(hidden))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, config: VitShape) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.dim, eps=LAYER_NORM_EPS)
        self.attn = Attention(config)
        self.norm2 = nn.LayerNorm(config.dim, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(config)

    def forward(self, x_BTD: Tensor, keys: Tensor | None, record: Recorder) -> tuple[Tensor, Probabilities]:
        """[B, T, D] and the probabilities of its attention; `keys` as in `Attention.forward`."""
        update, probabilities = self.attn(record("norm1", self.norm1(x_BTD)), keys, record.within("attn"))
        x_BTD = record("after_attn", x_BTD + update)
        x_BTD = x_BTD + self.mlp(record("norm2", self.norm2(x_BTD)), record.within("mlp"))
        return record("out", x_BTD), probabilities


class VisionTransformer(nn.Module):
    """ViT with class-token pooling, whose selectors sit before the one-based blocks `select_before`.

    Made on the CPU in float32 with the same weights for the same seed whatever was drawn before, and leaves the
    global random state alone; move it with `.to(device, dtype)`.
    """

    def __init__(self, config: VitShape, select_before: Sequence[int] = (4, 7, 10), seed: int = 0) -> None:
        super().__init__()
        _check_config(config)
        self.select_before = tuple(select_before)
        with torch.device("meta"):  # no memory and no random draws until `reset_parameters`
            self.patch_embed = PatchEmbed(config)
            self.cls_token = nn.Parameter(torch.empty(1, 1, config.dim, dtype=torch.float32))
            patches = self.patch_embed.patches_shape[0]
            self.pos_embed = nn.Parameter(torch.empty(1, 1 + patches, config.dim, dtype=torch.float32))
            self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
            self.norm = nn.LayerNorm(config.dim, eps=LAYER_NORM_EPS)
            self.head = nn.Linear(config.dim, config.classes)
        self.to(torch.float32).to_empty(device="cpu")
        self.reset_parameters(seed)

    def reset_parameters(self, seed: int) -> None:
        """Truncated normal of deviation 0.02 for weights and embeddings, zero biases, LayerNorm at identity."""
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.ndim == 1:
                nn.init.ones_(parameter)
            else:
                nn.init.trunc_normal_(parameter, std=INIT_STD, generator=generator)

    def forward(
        self,
        inputs: Tensor,
        token_counts: Sequence[int] | None = None,
        key_counts: Sequence[int | None] | None = None,
        *,
        kept: Sequence[Tensor] | None = None,
        keys: Sequence[Tensor | None] | None = None,
        record: dict[str, Tensor] | None = None,
    ) -> VitOutput:
        """Run the model on images [B, C, H, W] or patches [B, N, C * P * P].

        `token_counts` and `key_counts` say per selector how many patch tokens survive and how many patch keys each
        attends to (None: all of them); without them the model is dense. `kept` and `keys` force the indices instead,
        to compare with another executor on equal selections. `record` receives the intermediate tensors by name.
        """
        note = Recorder(record)
        selectors = plan_selectors(self.select_before, len(self.blocks), token_counts, key_counts, kept, keys)
        patches = note("patch_embed", self.patch_embed(inputs))
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        x = note("tokens", x + self.pos_embed)
        selections = []
        block_keys = None
        probabilities: Probabilities | None = None
        for index, block in enumerate(self.blocks):
            within = note.within(f"blocks.{index}")
            if index in selectors:
                assert probabilities is not None  # the plan has no selector before the first block
                selection = selectors[index].select(probabilities.head_sum())
                selections.append(selection)
                block_keys = selection.keys
                x = within("in", gather_tokens(x, selection.kept))
            x, probabilities = block(x, block_keys, within)
        assert probabilities is not None  # depth is at least 1
        x = note("norm", self.norm(x))
        class_attention = probabilities.class_row().detach()
        return VitOutput(
            logits=note("logits", self.head(x[:, 0])),
            kept=[selection.kept for selection in selections],
            keys=[selection.keys for selection in selections],
            class_attention=class_attention,
            attention_variance=class_attention[:, 1:].var(dim=1, correction=0),
        )


def _check_config(config: VitShape) -> None:
    if config.depth < 1:
        raise PeelVitError(f"a model of {config.depth} blocks cannot be made; give a depth of at least 1")
    if config.image_size % config.patch_size:
        raise PeelVitError(
            f"images of {config.image_size} pixels do not divide into patches of {config.patch_size}; "
            "choose a patch size that divides the image size"
        )
    if config.dim % config.heads:
        raise PeelVitError(f"{config.heads} heads do not divide dimension {config.dim}; choose another number of heads")
