"""Vision Transformer in float (DeiT and small ones), with timm's state-dict keys and token & attention selection.

Shapes: B images, C channels, P patch edge, N patches, T = 1 + kept patches tokens, D dimension.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from host.errors import PeelVitError
from trainer.keep import DENSE, KeepSetting
from trainer.models.base import ImageClassifier
from trainer.models.layers import LAYER_NORM_EPS, TransformerBlock, drop_path_rates, initialise
from trainer.models.output import ModelOutput
from trainer.record import SILENT, Recorder
from trainer.tokens.method import ForwardState, TokenMethod
from trainer.tokens.trilevel import TokenAttentionSelector


class PatchShape(Protocol):
    """The sizes of a patch embedding."""

    @property
    def image_size(self) -> int: ...  # noqa: D102

    @property
    def patch_size(self) -> int: ...  # noqa: D102

    @property
    def channels(self) -> int: ...  # noqa: D102

    @property
    def dim(self) -> int: ...  # noqa: D102


class VitShape(PatchShape, Protocol):
    """The attributes that a configuration must have; `host.model.ViTConfig` has them."""

    @property
    def depth(self) -> int: ...  # noqa: D102

    @property
    def heads(self) -> int: ...  # noqa: D102

    @property
    def mlp_hidden(self) -> int: ...  # noqa: D102

    @property
    def classes(self) -> int: ...  # noqa: D102


def extract_patches(images_BCHW: Tensor, patch_size: int) -> Tensor:
    """Non-overlapping patches, row by row, each in the patch weight's order: [B, N, C * P * P]."""
    B, C, H, W = images_BCHW.shape
    split = images_BCHW.reshape(B, C, H // patch_size, patch_size, W // patch_size, patch_size)
    return split.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


class PatchEmbed(nn.Module):
    """A convolution whose stride is its kernel, computed as a product over extracted patches."""

    def __init__(self, config: PatchShape, dynamic_img_size: bool = False) -> None:
        super().__init__()
        self.image_shape = (config.channels, config.image_size, config.image_size)
        self.patch_size = config.patch_size
        self.dynamic_img_size = dynamic_img_size
        self.proj = nn.Conv2d(config.channels, config.dim, config.patch_size, stride=config.patch_size)

    @property
    def patches_shape(self) -> tuple[int, int]:
        """(N, C * P * P)."""
        channels, height, width = self.image_shape
        return (height // self.patch_size) * (width // self.patch_size), channels * self.patch_size**2

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, N, D] from images [B, C, H, W] or from patches [B, N, C * P * P]."""
        if self._are_images(inputs):
            inputs = extract_patches(inputs, self.patch_size)
        elif tuple(inputs.shape[1:]) != self.patches_shape:
            raise PeelVitError(
                f"the model takes images {self.image_shape} or patches {self.patches_shape} but got "
                f"{tuple(inputs.shape[1:])}; resize the images or choose another model"
            )
        return functional.linear(inputs, self.proj.weight.flatten(1), self.proj.bias)

    def _are_images(self, inputs: Tensor) -> bool:
        if inputs.ndim != 4:
            return False
        if not self.dynamic_img_size:
            return tuple(inputs.shape[1:]) == self.image_shape
        channels, height, width = inputs.shape[1:]
        return channels == self.image_shape[0] and height == width and height % self.patch_size == 0


class VisionTransformer(ImageClassifier):
    """ViT with class-token pooling.

    Made on the CPU in float32 with the same weights for the same seed whatever was drawn before, and leaves the
    global random state alone; move it with `.to(device, dtype)`.

    Arguments:
        config: sizes.
        token_method: how tokens flow through the blocks; by default the paper's selector before blocks 4, 7 and 10.
        seed: of the weights.
        drop_path_rate: of the last block; earlier ones have less.
        dynamic_img_size: take square images of other sizes too, with position embeddings resized to their grid.
    """

    def __init__(
        self,
        config: VitShape,
        token_method: TokenMethod | None = None,
        seed: int = 0,
        *,
        drop_path_rate: float = 0.0,
        dynamic_img_size: bool = False,
    ) -> None:
        super().__init__()
        _check_config(config)
        self.config = config
        with torch.device("meta"):  # no memory and no random draws until the weights are initialised
            self.patch_embed = PatchEmbed(config, dynamic_img_size)
            self.cls_token = nn.Parameter(torch.empty(1, 1, config.dim, dtype=torch.float32))
            patches = self.patch_embed.patches_shape[0]
            self.pos_embed = nn.Parameter(torch.empty(1, 1 + patches, config.dim, dtype=torch.float32))
            self.blocks = nn.ModuleList(
                TransformerBlock(config.dim, config.heads, config.mlp_hidden, drop_path=rate)
                for rate in drop_path_rates(drop_path_rate, config.depth)
            )
            self.norm = nn.LayerNorm(config.dim, eps=LAYER_NORM_EPS)
            self.head = nn.Linear(config.dim, config.classes)
        self.to(torch.float32).to_empty(device="cpu")
        initialise(self, seed)
        self.token_method = token_method or TokenAttentionSelector()

    def no_weight_decay(self) -> set[str]:
        """See `ImageClassifier`."""
        return {"cls_token", "pos_embed"}

    def forward(
        self, inputs: Tensor, keep: KeepSetting = DENSE, *, record: dict[str, Tensor] | None = None
    ) -> ModelOutput:
        """Run the model on images [B, C, H, W] or patches [B, N, C * P * P].

        `keep` says what the selectors keep; `record` receives the intermediate tensors by name.
        """
        note = Recorder(record) if record is not None else SILENT
        state = ForwardState(keep, note)
        patches = note("patch_embed", self.patch_embed(inputs))
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        x = note("tokens", x + self._positions(patches.shape[1]))
        x = note("norm", self.norm(self.token_method(self.blocks, x, state)))
        return state.output(note("logits", self.head(x[:, 0])), x, class_attention_variance(state))

    def _positions(self, patches: int) -> Tensor:
        if patches == self.pos_embed.shape[1] - 1:
            return self.pos_embed
        return resize_positions(self.pos_embed, patches)


def class_attention_variance(state: ForwardState) -> Tensor:
    """Population variance of the last block's class-token row over the patches, [B]."""
    return state.last_probabilities.class_row()[:, state.prefix :].var(dim=1, correction=0)


def resize_positions(positions_1TD: Tensor, patches: int) -> Tensor:
    """Position embeddings for a square grid of `patches`: bicubic and antialiased, as timm resizes them."""
    old, new = round((positions_1TD.shape[1] - 1) ** 0.5), round(patches**0.5)
    front, grid = positions_1TD[:, :1], positions_1TD[:, 1:].unflatten(1, (old, old)).permute(0, 3, 1, 2)
    resized = functional.interpolate(grid.float(), (new, new), mode="bicubic", antialias=True).to(grid.dtype)
    return torch.cat([front, resized.flatten(2).transpose(1, 2)], dim=1)


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
