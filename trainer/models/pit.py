"""PiT, the Pooling-based Vision Transformer (Heo et al. 2021), with timm's state-dict keys and token pruning.

Shapes: B images, N patches of a stage's grid [H, W], T = 1 + K tokens with K <= N, D dimension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from host.errors import PeelVitError
from trainer.keep import DENSE, KeepSetting
from trainer.models.base import ImageClassifier
from trainer.models.layers import LAYER_NORM_EPS, TransformerBlock, drop_path_rates, initialise
from trainer.models.output import ModelOutput
from trainer.models.pit_grid import StageGrid
from trainer.models.request import ModelRequest
from trainer.models.vit import class_attention_variance
from trainer.record import SILENT, Recorder
from trainer.tokens.method import ForwardState, TokenMethod
from trainer.tokens.registry import ModelFacts
from trainer.tokens.trilevel import TokenAttentionSelector

MLP_RATIO = 4
POOL = 2


@dataclass(frozen=True)
class PitStage:
    """Sizes of one stage: `depth` blocks on `grid` x `grid` patches and a class token."""

    dim: int
    depth: int
    heads: int
    grid: int

    @property
    def mlp_hidden(self) -> int:
        """Hidden width of the MLPs."""
        return MLP_RATIO * self.dim


@dataclass(frozen=True)
class PitConfig:
    """Sizes in pixels, elements or counts. Patches of `patch_size` overlap: they begin every `stride` pixels.

    `depths` and `heads` have one entry a stage; its dimension is `head_dim` times its heads. `select_before` are the
    one-based blocks in front of which the selectors stand.
    """

    name: str
    image_size: int
    patch_size: int
    stride: int
    channels: int
    head_dim: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    classes: int
    select_before: tuple[int, ...] = (4, 7, 10)

    def __post_init__(self) -> None:
        if self.image_size < self.patch_size:
            raise PeelVitError(
                f"images of {self.image_size} pixels are smaller than one patch of {self.name} "
                f"({self.patch_size} pixels); choose larger images or another model"
            )
        if any(heads % self.heads[0] for heads in self.heads):
            raise PeelVitError(f"pooling cannot make {self.heads} heads of {self.heads[0]}; give multiples of it")

    @property
    def depth(self) -> int:
        """Blocks of all stages."""
        return sum(self.depths)

    def grid(self, image_size: int) -> int:
        """Patches along one side of images of `image_size`."""
        return (image_size - self.patch_size) // self.stride + 1

    @cached_property
    def stages(self) -> tuple[PitStage, ...]:
        """The stages; pooling halves the grid, rounding up."""
        stages, grid = [], self.grid(self.image_size)
        for depth, heads in zip(self.depths, self.heads, strict=True):
            stages.append(PitStage(self.head_dim * heads, depth, heads, grid))
            grid = -(-grid // POOL)
        return tuple(stages)

    @property
    def stage_starts(self) -> tuple[int, ...]:
        """One-based number of each stage's first block."""
        return tuple(1 + sum(self.depths[:stage]) for stage in range(len(self.depths)))


class ConvEmbedding(nn.Module):
    """Overlapping patches by a strided convolution."""

    def __init__(self, config: PitConfig) -> None:
        super().__init__()
        dim = config.stages[0].dim
        self.conv = nn.Conv2d(config.channels, dim, config.patch_size, stride=config.stride)

    def forward(self, images: Tensor) -> Tensor:
        """[B, D, H, W]."""
        return self.conv(images)


class Pooling(nn.Module):
    """Halves the grid by a strided depthwise convolution, and widens the class token by a linear layer."""

    def __init__(self, dim: int, out_dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, out_dim, POOL + 1, stride=POOL, padding=POOL // 2, groups=dim)
        self.fc = nn.Linear(dim, out_dim)

    def forward(self, grid_BDHW: Tensor, class_B1D: Tensor) -> tuple[Tensor, Tensor]:
        """The next stage's grid and class token."""
        return self.conv(grid_BDHW), self.fc(class_B1D)


class PitTransformer(nn.Module):
    """One stage's modules under timm's names."""

    def __init__(self, stage: PitStage, before: PitStage | None, rates: Sequence[float]) -> None:
        super().__init__()
        self.pool = None if before is None else Pooling(before.dim, stage.dim)
        self.blocks = nn.ModuleList(
            TransformerBlock(stage.dim, stage.heads, stage.mlp_hidden, drop_path=rate) for rate in rates
        )


class PoolingVisionTransformer(ImageClassifier):
    """PiT with class-token pooling. The token method runs stage by stage; see `StageGrid` for what pooling sees.

    Made on the CPU in float32 with the same weights for the same seed whatever was drawn before, and leaves the
    global random state alone. Arguments as of `trainer.models.vit.VisionTransformer`.
    """

    def __init__(
        self,
        config: PitConfig,
        token_method: TokenMethod | None = None,
        seed: int = 0,
        *,
        drop_path_rate: float = 0.0,
        dynamic_img_size: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.dynamic_img_size = dynamic_img_size
        self.token_method = token_method or TokenAttentionSelector(config.select_before)
        check_method(self.token_method, config)
        first, last = config.stages[0], config.stages[-1]
        rates = iter(drop_path_rates(drop_path_rate, config.depth))
        with torch.random.fork_rng(devices=[]):  # the layers' own initial values, which `_initialise` replaces
            self.patch_embed = ConvEmbedding(config)
            self.pos_embed = nn.Parameter(torch.empty(1, first.dim, first.grid, first.grid))
            self.cls_token = nn.Parameter(torch.empty(1, 1, first.dim))
            self.transformers = nn.ModuleList(
                PitTransformer(stage, before, [next(rates) for _ in range(stage.depth)])
                for before, stage in zip((None, *config.stages), config.stages, strict=False)
            )
            self.norm = nn.LayerNorm(last.dim, eps=LAYER_NORM_EPS)
            self.head = nn.Linear(last.dim, config.classes)
        _initialise(self, seed)

    def no_weight_decay(self) -> set[str]:
        """See `ImageClassifier`."""
        return {"cls_token", "pos_embed"}

    @staticmethod
    def timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state dict of the original repository under timm's names: its pools stood between the stages."""
        return {_renamed(name): tensor for name, tensor in state.items()}

    def forward(
        self, inputs: Tensor, keep: KeepSetting = DENSE, *, record: dict[str, Tensor] | None = None
    ) -> ModelOutput:
        """Run the model on images [B, C, H, W]; `keep` says what the selectors keep.

        In the output, what the first selector of a stage keeps counts in all patches of that stage.
        """
        note = Recorder(record) if record is not None else SILENT
        state = ForwardState(keep, note)
        self._check_images(inputs)
        grid = self.patch_embed(inputs)
        grid = note("patch_embed", grid + self._positions(grid))
        first = self.cls_token.expand(len(grid), -1, -1)
        for transformer in self.transformers:
            assert isinstance(transformer, PitTransformer)
            if transformer.pool is not None:
                grid, first = transformer.pool(grid, first)
            x = torch.cat([first, grid.flatten(2).transpose(1, 2)], dim=1)
            stage = StageGrid(x, state)
            x = self.token_method(stage.watched(transformer.blocks), x, state)
            first, grid = x[:, :1], stage.whole(x).transpose(1, 2).unflatten(2, grid.shape[2:])
            state.first_block += len(transformer.blocks)
        x = note("norm", self.norm(x))
        return state.output(note("logits", self.head(x[:, 0])), x, class_attention_variance(state))

    def _check_images(self, images: Tensor) -> None:
        config = self.config
        channels, height, width = images.shape[1:]
        fits = height >= config.patch_size if self.dynamic_img_size else height == config.image_size
        if channels != config.channels or height != width or not fits:
            raise PeelVitError(
                f"the model takes images {(config.channels, config.image_size, config.image_size)} but got "
                f"{(channels, height, width)}; resize the images or choose another model"
            )

    def _positions(self, grid: Tensor) -> Tensor:
        if grid.shape[2:] == self.pos_embed.shape[2:]:
            return self.pos_embed
        resized = functional.interpolate(self.pos_embed.float(), grid.shape[2:], mode="bicubic", antialias=True)
        return resized.to(self.pos_embed.dtype)


REMOVERS = ("dense", "trilevel", "static", "patch_dropout")
"""Token methods that do nothing but remove tokens, and that have no predictor of one width: stages have several."""


def check_method(method: TokenMethod, config: PitConfig) -> None:
    """Refuse methods whose tokens cannot go back to the grid, and selectors without attention of their own stage."""
    if method.name not in REMOVERS or not method.keeps_order:
        raise PeelVitError(
            f"{config.name} pools a grid, so its token method may only remove tokens, which {method.name} with these "
            f"options does not; use {', '.join(REMOVERS)}, without a fused token"
        )
    if getattr(method, "placement", "before") != "before":
        return
    for place in getattr(method, "places", ()):
        if place in config.stage_starts:
            raise PeelVitError(
                f"a selector before block {place}, the first of a stage of {config.name}, has no attention to read; "
                f"place it before block {place + 1} or later"
            )


@torch.no_grad()
def _initialise(model: PoolingVisionTransformer, seed: int) -> None:
    """Embeddings as in the other models; layers as PyTorch does by default, which is timm's way for PiT.

    The depthwise pooling has nine inputs an output, and at a deviation of 0.02 would all but silence them.
    """
    initialise(model, seed)
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_uniform_(module.weight, a=5**0.5, generator=generator)


def _renamed(name: str) -> str:
    pool, _, rest = name.removeprefix("pools.").partition(".")
    return f"transformers.{int(pool) + 1}.pool.{rest}" if name.startswith("pools.") else name


PRESETS = (
    PitConfig("pit_ti_224", 224, 16, 8, 3, 32, (2, 6, 4), (2, 4, 8), 1000),
    PitConfig("pit_xs_224", 224, 16, 8, 3, 48, (2, 6, 4), (2, 4, 8), 1000),
    PitConfig("pit_s_224", 224, 16, 8, 3, 48, (2, 6, 4), (3, 6, 12), 1000),
    PitConfig("pit_micro_32", 32, 4, 2, 3, 24, (2, 4, 2), (1, 2, 4), 10, select_before=(4, 6, 8)),
)


def build_pit(config: PitConfig, request: ModelRequest) -> PoolingVisionTransformer:
    """A PiT."""
    config = request.sized(config)
    first = config.stages[0]
    facts = ModelFacts(first.dim, first.heads, config.depth, first.grid**2, config.classes, request.seed)
    method = request.method(facts, config.select_before)
    return PoolingVisionTransformer(
        config,
        method,
        request.seed,
        drop_path_rate=request.drop_path_rate,
        dynamic_img_size=request.dynamic_img_size,
    )


ARCHITECTURES = {config.name: partial(build_pit, config) for config in PRESETS}
