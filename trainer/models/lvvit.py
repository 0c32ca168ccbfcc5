"""LV-ViT (Jiang et al. 2021, "All Tokens Matter") with the state-dict keys of the authors' TokenLabeling repository.

A ViT with a convolutional stem, halved residual branches, and a second head that classifies every patch token.

Shapes: B images, N patches of a grid G x G, T = 1 + K tokens with K <= N, D dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from host.errors import PeelVitError
from trainer.keep import DENSE, KeepSetting
from trainer.models.base import ImageClassifier
from trainer.models.layers import TransformerBlock, drop_path_rates, initialise
from trainer.models.output import ModelOutput
from trainer.models.request import ModelRequest
from trainer.models.vit import class_attention_variance, resize_positions
from trainer.record import SILENT, Recorder
from trainer.tokens.method import ForwardState, TokenMethod
from trainer.tokens.registry import ModelFacts
from trainer.tokens.trilevel import TokenAttentionSelector

LAYER_NORM_EPS = 1e-5
TOKEN_SHARE = 0.5
"""Weight of the most confident patch token beside the class token when classes are predicted."""


@dataclass(frozen=True)
class LvvitConfig:
    """Sizes in pixels, elements or counts. `stem` channels in the stem; residual branches are divided by
    `residual_scale`; selectors stand before the one-based blocks `select_before`.
    """

    name: str
    image_size: int
    patch_size: int
    channels: int
    dim: int
    depth: int
    heads: int
    mlp_hidden: int
    classes: int
    stem: int = 64
    residual_scale: float = 2.0
    select_before: tuple[int, ...] = (5, 9, 13)

    def __post_init__(self) -> None:
        if self.image_size % self.patch_size or self.patch_size % 2:
            raise PeelVitError(
                f"images of {self.image_size} pixels do not divide into patches of {self.patch_size}; "
                "choose an even patch size that divides the image size"
            )
        if self.dim % self.heads:
            raise PeelVitError(f"{self.heads} heads do not divide dimension {self.dim}; choose another number of heads")

    @property
    def grid(self) -> int:
        """G."""
        return self.image_size // self.patch_size

    @property
    def patches(self) -> int:
        """N."""
        return self.grid**2


class MixBox(NamedTuple):
    """Part of the patch grid that is taken from another image: rows top..bottom, columns left..right, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    def inside(self, grid: int, device: torch.device) -> Tensor:
        """Which patches lie in it, bool [grid, grid]."""
        place = torch.arange(grid, device=device)
        rows, columns = (place >= self.top) & (place < self.bottom), (place >= self.left) & (place < self.right)
        return rows[:, None] & columns


def draw_mix_box(grid: int, generator: torch.Generator) -> MixBox:
    """MixToken's box: its area is uniform (CutMix with Beta(1, 1)), its centre too, and it is cut at the border."""
    side = int(grid * (1.0 - torch.rand((), generator=generator).item()) ** 0.5)
    row, column = torch.randint(grid, (2,), generator=generator).tolist()
    half = side // 2
    return MixBox(max(row - half, 0), min(row + half, grid), max(column - half, 0), min(column + half, grid))


class ConvStem(nn.Module):
    """Four convolutions, the first and the last with strides, together as long as a patch."""

    def __init__(self, config: LvvitConfig) -> None:
        super().__init__()
        width, rest = config.stem, config.patch_size // 2
        self.conv1 = nn.Conv2d(config.channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.proj = nn.Conv2d(width, config.dim, rest, stride=rest)

    def forward(self, images: Tensor) -> Tensor:
        """[B, D, G, G]."""
        x = functional.relu(self.bn1(self.conv1(images)))
        x = functional.relu(self.bn2(self.conv2(x)))
        return self.proj(functional.relu(self.bn3(self.conv3(x))))


class LvVisionTransformer(ImageClassifier):
    """LV-ViT. In training its logits are the class token's; in evaluation the best patch token's are added by half.

    Made on the CPU in float32 with the same weights for the same seed whatever was drawn before, and leaves the
    global random state alone. Arguments as of `trainer.models.vit.VisionTransformer`.
    """

    def __init__(
        self,
        config: LvvitConfig,
        token_method: TokenMethod | None = None,
        seed: int = 0,
        *,
        drop_path_rate: float = 0.0,
        dynamic_img_size: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.dynamic_img_size = dynamic_img_size
        with torch.random.fork_rng(devices=[]):  # the layers' own initial values, which `initialise` replaces
            self.patch_embed = ConvStem(config)
            self.cls_token = nn.Parameter(torch.empty(1, 1, config.dim))
            self.pos_embed = nn.Parameter(torch.empty(1, 1 + config.patches, config.dim))
            self.blocks = nn.ModuleList(
                TransformerBlock(
                    config.dim,
                    config.heads,
                    config.mlp_hidden,
                    qkv_bias=False,
                    drop_path=rate,
                    residual_scale=config.residual_scale,
                    eps=LAYER_NORM_EPS,
                )
                for rate in drop_path_rates(drop_path_rate, config.depth)
            )
            self.norm = nn.LayerNorm(config.dim, eps=LAYER_NORM_EPS)
            self.head = nn.Linear(config.dim, config.classes)
            self.aux_head = nn.Linear(config.dim, config.classes)
        initialise(self, seed)
        self.token_method = token_method or TokenAttentionSelector(config.select_before)

    def no_weight_decay(self) -> set[str]:
        """See `ImageClassifier`."""
        return {"cls_token", "pos_embed"}

    def forward(
        self,
        inputs: Tensor,
        keep: KeepSetting = DENSE,
        *,
        record: dict[str, Tensor] | None = None,
        mix_box: MixBox | None = None,
    ) -> ModelOutput:
        """Run the model on images [B, C, H, W]; `keep` says what the selectors keep.

        With `mix_box` (MixToken, for training) the patches inside it come from the batch in reverse order; the output's
        `token_logits` stay where the tokens are, and `token_labelling_loss` gives each its own image's target.
        """
        note = Recorder(record) if record is not None else SILENT
        state = ForwardState(keep, note)
        self._check_images(inputs)
        grid = note("patch_embed", self.patch_embed(inputs))
        if mix_box is not None:
            grid = torch.where(mix_box.inside(grid.shape[-1], grid.device), grid.flip(0), grid)
        patches = grid.flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        x = note("tokens", x + self._positions(patches.shape[1]))
        x = note("norm", self.norm(self.token_method(self.blocks, x, state)))
        logits, token_logits = self.head(x[:, 0]), self.aux_head(x[:, 1:])
        if not self.training:
            logits = logits + TOKEN_SHARE * token_logits.amax(dim=1)
        return state.output(
            note("logits", logits), x, class_attention_variance(state), note("token_logits", token_logits)
        )

    def _positions(self, patches: int) -> Tensor:
        if patches == self.config.patches:
            return self.pos_embed
        return resize_positions(self.pos_embed, patches)

    def _check_images(self, images: Tensor) -> None:
        config = self.config
        channels, height, width = images.shape[1:]
        fits = height % config.patch_size == 0 if self.dynamic_img_size else height == config.image_size
        if channels != config.channels or height != width or not fits:
            raise PeelVitError(
                f"the model takes images {(config.channels, config.image_size, config.image_size)} but got "
                f"{(channels, height, width)}; resize the images or choose another model"
            )


def surviving_patches(kept: Sequence[Tensor], images: int, patches: int, device: torch.device) -> Tensor:
    """Places in the whole grid of the patches that all selectors left, [B, K], from a model output's `kept`."""
    places = torch.arange(patches, device=device).expand(images, -1)
    for chosen in kept:
        places = places.gather(1, chosen)
    return places


def token_labelling_loss(
    output: ModelOutput,
    targets: Tensor,
    *,
    label_maps: Tensor | None = None,
    mix_box: MixBox | None = None,
    patches: int | None = None,
    token_weight: float = 0.5,
) -> Tensor:
    """Token labelling (Jiang et al. 2021, section 3): class-token loss + `token_weight` * mean loss of the kept tokens.

    Arguments:
        output: of an LV-ViT in training mode.
        targets: class probabilities [B, classes].
        label_maps: class probabilities of every patch of the whole grid [B, N, classes]; without them each patch has
            its image's target.
        mix_box: the one given to the model; inside it targets are those of the batch in reverse order, and the class
            token's are mixed by area.
        patches: N; needed with `mix_box` when there are no label maps.
        token_weight: of the tokens' loss.
    """
    if output.token_logits is None:
        raise PeelVitError("token labelling needs a model with a head for tokens; choose lvvit_s or leave it out")
    maps = targets[:, None] if label_maps is None else label_maps
    if mix_box is not None:
        maps, targets = _mix_targets(maps, targets, mix_box, patches)
    if maps.shape[1] > 1:
        places = surviving_patches(output.kept, len(maps), maps.shape[1], maps.device)
        if places.shape[1] != output.token_logits.shape[1]:
            raise PeelVitError(
                "token labels cannot follow tokens that were merged or fused; use a token method that only removes them"
            )
        maps = maps.gather(1, places[:, :, None].expand(-1, -1, maps.shape[2]))
    class_loss = functional.cross_entropy(output.logits, targets)
    token_losses = -(maps * output.token_logits.log_softmax(dim=-1)).sum(dim=-1)
    return class_loss + token_weight * token_losses.mean()


def _mix_targets(maps: Tensor, targets: Tensor, box: MixBox, patches: int | None) -> tuple[Tensor, Tensor]:
    """Maps of every patch, and class targets, of images whose patches in `box` come from the reversed batch."""
    count = maps.shape[1] if maps.shape[1] > 1 else patches
    if count is None:
        raise PeelVitError("a mix box covers patches; say how many there are with patches=")
    inside = box.inside(round(count**0.5), maps.device).flatten()[:, None]
    share = (box.bottom - box.top) * (box.right - box.left) / count
    return torch.where(inside, maps.flip(0), maps), targets.lerp(targets.flip(0), share)


PRESETS = (
    LvvitConfig("lvvit_s", 224, 16, 3, 384, 16, 6, 1152, 1000),
    LvvitConfig("lvvit_micro_patch4_32", 32, 4, 3, 96, 8, 3, 288, 10, stem=32, select_before=(3, 5, 7)),
)


def build_lvvit(config: LvvitConfig, request: ModelRequest) -> LvVisionTransformer:
    """An LV-ViT."""
    config = request.sized(config)
    facts = ModelFacts(config.dim, config.heads, config.depth, config.patches, config.classes, request.seed)
    method = request.method(facts, config.select_before)
    return LvVisionTransformer(
        config,
        method,
        request.seed,
        drop_path_rate=request.drop_path_rate,
        dynamic_img_size=request.dynamic_img_size,
    )


ARCHITECTURES = {config.name: partial(build_lvvit, config) for config in PRESETS}
