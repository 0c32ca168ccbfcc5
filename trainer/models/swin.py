"""Swin Transformer (Liu et al. 2021) with timm's state-dict keys, and with tokens and connections skipped per window.

Shapes: B images, L tokens of a grid [H, W], W windows of A slots, n <= A slots that are computed, D dimension, M heads,
E = D / M head dimension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional

from host.errors import PeelVitError
from trainer.attention.connections import Connections
from trainer.attention.dense import ALL_KEYS
from trainer.keep import DENSE, KeepSetting
from trainer.models.base import ImageClassifier
from trainer.models.layers import DropPath, Mlp, drop_path_rates, initialise
from trainer.models.output import ModelOutput
from trainer.models.swin_windows import Partition, relative_positions
from trainer.models.vit import PatchEmbed
from trainer.record import SILENT, Recorder
from trainer.tokens.method import DenseFlow, ForwardState, TokenMethod

LAYER_NORM_EPS = 1e-5
MLP_RATIO = 4


@dataclass(frozen=True)
class SwinStage:
    """Sizes of one stage: `depth` blocks of `grid` x `grid` tokens; every second block shifts its windows."""

    dim: int
    depth: int
    heads: int
    grid: int
    window: int
    shift: int

    @property
    def mlp_hidden(self) -> int:
        """Hidden width of the MLPs."""
        return MLP_RATIO * self.dim

    def partition(self, block: int) -> Partition:
        """How zero-based `block` of the stage cuts the grid."""
        return Partition(self.grid, self.grid, self.window, self.shift if block % 2 else 0)


@dataclass(frozen=True)
class SwinConfig:
    """Sizes in pixels, elements or counts; one entry of `depths` and `heads` a stage, each of twice the dimension."""

    name: str
    image_size: int
    patch_size: int
    channels: int
    dim: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    window: int
    classes: int

    def __post_init__(self) -> None:
        if self.image_size % self.patch_size:
            raise PeelVitError(
                f"images of {self.image_size} pixels do not divide into patches of {self.patch_size}; "
                "choose a patch size that divides the image size"
            )
        for stage, heads in enumerate(self.heads):
            if self.dim * 2**stage % heads:
                raise PeelVitError(
                    f"{heads} heads do not divide dimension {self.dim * 2**stage} of stage {stage + 1}; "
                    "choose another number of heads"
                )

    @property
    def depth(self) -> int:
        """Blocks of all stages."""
        return sum(self.depths)

    @cached_property
    def stages(self) -> tuple[SwinStage, ...]:
        """The stages; a grid that fits into one window is not shifted."""
        stages, grid = [], self.image_size // self.patch_size
        for number, (depth, heads) in enumerate(zip(self.depths, self.heads, strict=True)):
            window = min(self.window, grid)
            shift = window // 2 if grid > window else 0
            stages.append(SwinStage(self.dim * 2**number, depth, heads, grid, window, shift))
            grid = -(-grid // 2)
        return tuple(stages)


@dataclass(frozen=True)
class WindowChoice:
    """What the windows compute: `slots` [B, W, n], ascending, the tokens in them, `cells` [B, W, n] (L for padding),
    and per query the positions among its window's slots that it attends to, `keys` [B, W, n, k]; None: all.
    """

    slots: Tensor
    cells: Tensor
    keys: Tensor | None = None


@dataclass(frozen=True)
class WindowMaps:
    """Softmax maps inside the windows, off the graph: as they were computed, or from q and k when they are asked for.

    `q` and `k` are [B, W, M, n, E], `bias` broadcasts to [B, W, M, n, n]; `known` is the softmax where there is one.
    """

    q: Tensor
    k: Tensor
    bias: Tensor
    known: Tensor | None

    @torch.no_grad()
    def head_mean(self) -> Tensor:
        """[B, W, n, n]."""
        if self.known is not None:
            return self.known.detach().mean(dim=2)
        q, k, bias = self.q.detach(), self.k.detach(), self.bias.detach()
        return ((q * q.shape[-1] ** -0.5) @ k.mT + bias).softmax(dim=-1).mean(dim=2)


@dataclass(frozen=True)
class WindowProbabilities:
    """Attention inside the windows; `slots` and `cells` [B or 1, W, n] as in `WindowChoice`."""

    partition: Partition
    slots: Tensor
    cells: Tensor
    maps: WindowMaps

    def map(self) -> Tensor:
        """Head mean of each window's map, [B, W, n, n], detached."""
        return self.maps.head_mean()

    def column_sums(self) -> Tensor:
        """Head mean of the attention that each token receives in its window, [B, W, n]; padding asks for nothing."""
        return (self.map() * self.is_token[..., None]).sum(dim=2)

    @property
    def is_token(self) -> Tensor:
        """Whether a slot holds a token, bool [B or 1, W, n]."""
        return self.cells < self.partition.tokens

    def variance(self) -> Tensor:
        """Population variance of the column sums over the tokens that were computed, [B]."""
        sums, real = self.column_sums().flatten(1), self.is_token.flatten(1)
        count = real.sum(dim=1)
        mean = (sums * real).sum(dim=1) / count
        return ((sums - mean[:, None]).square() * real).sum(dim=1) / count


class WindowAttention(nn.Module):
    """Multi-head self-attention inside windows, with a bias by relative position."""

    relative_position_index: Tensor

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_positions(window), persistent=False)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def position_bias(self, slots: Tensor | None) -> Tensor:
        """Bias of the chosen slots' scores [B, W, M, n, n]; of all of them [M, A, A]."""
        index = self.relative_position_index
        if slots is not None:
            index = index[slots[..., :, None], slots[..., None, :]]
        return functional.embedding(index, self.relative_position_bias_table).movedim(-1, -3)

    def forward(self, x_BWnD: Tensor, bias: Tensor, record: Recorder) -> tuple[Tensor, WindowMaps]:
        """[B, W, n, D], and the maps; `bias` broadcasts to [B, W, M, n, n]."""
        qkv = record("qkv", self.qkv(x_BWnD)).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(3, 0, 1, 4, 2, 5).unbind(0)
        p = None
        if record.active or _unfused(bias):
            p = record("softmax", ((q * q.shape[-1] ** -0.5) @ k.mT + bias).softmax(dim=-1))
            context = p.to(v.dtype) @ v
        else:
            # Windows and heads as one dimension: fused kernels want four, and the bias need not be repeated per image.
            mask = bias.expand(*bias.shape[:-4], q.shape[1], *bias.shape[-3:]).to(q.dtype).flatten(-4, -3)
            flat_q, flat_k, flat_v = (tensor.flatten(1, 2) for tensor in (q, k, v))
            context = functional.scaled_dot_product_attention(flat_q, flat_k, flat_v, attn_mask=mask)
            context = context.unflatten(1, q.shape[1:3])
        update = self.proj(record("context", context.transpose(2, 3).flatten(3)))
        return record("proj", update), WindowMaps(q, k, bias, p)


def _unfused(bias: Tensor) -> bool:
    """Whether no fused kernel is there: on a CPU not for a bias that learns, and selectors are glad of the map."""
    return bias.device.type == "cpu" and bias.requires_grad


class SwinBlock(nn.Module):
    """Pre-norm block over windows. `attend` and `feed_forward` compute every token, `forward` may compute a part."""

    cells: Tensor
    region_mask: Tensor

    def __init__(self, stage: SwinStage, number: int, drop_path: float) -> None:
        super().__init__()
        self.partition = stage.partition(number)
        self.norm1 = nn.LayerNorm(stage.dim, eps=LAYER_NORM_EPS)
        self.attn = WindowAttention(stage.dim, stage.heads, stage.window)
        self.norm2 = nn.LayerNorm(stage.dim, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(stage.dim, stage.mlp_hidden)
        self.drop_path = DropPath(drop_path)
        self.register_buffer("cells", self.partition.cells(), persistent=False)
        self.register_buffer("region_mask", self.partition.region_mask(), persistent=False)

    def attend(
        self, x: Tensor, connections: Connections = ALL_KEYS, record: Recorder = SILENT
    ) -> tuple[Tensor, WindowProbabilities]:
        """x [B, H, W, D] after the attention residual, and the attention's probabilities."""
        if connections is not ALL_KEYS:
            raise PeelVitError("windows take no connections of class tokens; choose the token method trilevel or dense")
        partition, cells, mask = self._geometry(x)
        windows = partition.split(record("norm1", self.norm1(x)))
        bias = self.attn.position_bias(None)[None, None]
        if partition.shift:
            bias = bias + mask[None, :, None]
        update, maps = self.attn(windows, bias, record.within("attn"))
        x = record("after_attn", x + self.drop_path(partition.join(update)))
        slots = torch.arange(partition.slots, device=x.device).expand(1, len(cells), -1)
        return x, WindowProbabilities(partition, slots, cells[None], maps)

    def feed_forward(self, x: Tensor, record: Recorder = SILENT) -> Tensor:
        """x [B, ..., D] after the MLP residual."""
        update = self.mlp(record("norm2", self.norm2(x)), record.within("mlp"))
        return record("out", x + self.drop_path(update))

    def forward(
        self, x: Tensor, choice: WindowChoice | None = None, record: Recorder = SILENT
    ) -> tuple[Tensor, WindowProbabilities]:
        """The block on the grid x [B, H, W, D]; tokens outside `choice` pass as they are."""
        if choice is None:
            x, probabilities = self.attend(x, record=record)
            return self.feed_forward(x, record), probabilities
        partition, _, mask = self._geometry(x)
        table = x.flatten(1, 2)
        if partition.is_padded:
            table = functional.pad(table, (0, 0, 0, 1))  # one row for all padding to be read from and written to
        rows = choice.cells.flatten(1)[:, :, None].expand(-1, -1, x.shape[-1])
        taken = record("in", table.gather(1, rows))
        windows = record("norm1", self.norm1(taken)).unflatten(1, choice.slots.shape[1:])
        if partition.is_padded:
            windows = windows * (choice.cells < partition.tokens)[..., None]
        bias = self._chosen_bias(choice, mask)
        update, maps = self.attn(windows, bias, record.within("attn"))
        taken = record("after_attn", taken + self.drop_path(update.flatten(1, 2)))
        taken = self.feed_forward(taken, record)
        out = table.scatter(1, rows, taken.to(table.dtype))[:, : partition.tokens].view_as(x)
        return out, WindowProbabilities(partition, choice.slots, choice.cells, maps)

    def _chosen_bias(self, choice: WindowChoice, mask: Tensor) -> Tensor:
        """Position bias, regions and connections of the chosen slots, [B, W, M, n, n]."""
        bias = self.attn.position_bias(choice.slots)
        extra = None
        if self.partition.shift:
            window = torch.arange(mask.shape[0], device=mask.device)[:, None, None]
            extra = mask[window, choice.slots[..., :, None], choice.slots[..., None, :]]
        if choice.keys is not None:
            closed = torch.full_like(bias[:, :, 0], -torch.inf).scatter(3, choice.keys, 0.0)
            extra = closed if extra is None else extra + closed
        return bias if extra is None else bias + extra[:, :, None]

    def _geometry(self, x: Tensor) -> tuple[Partition, Tensor, Tensor]:
        """Partition, `Partition.cells` and `Partition.region_mask` for the grid of x."""
        height, width = x.shape[1:3]
        if (height, width) == (self.partition.height, self.partition.width):
            return self.partition, self.cells, self.region_mask
        partition = replace(self.partition, height=height, width=width)
        return partition, partition.cells().to(x.device), partition.region_mask().to(x)


class PatchMerging(nn.Module):
    """Four neighbours become one token of twice the dimension; a grid of odd size is padded with zeros."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim, eps=LAYER_NORM_EPS)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, H / 2, W / 2, 2 D]; the four are listed column by column, as the weights of timm want them."""
        x = functional.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # [B, H / 2, 2, W / 2, 2, D]
        return self.reduction(self.norm(x.permute(0, 1, 3, 4, 2, 5).flatten(3)))


class NormedPatchEmbed(PatchEmbed):
    """Patch embedding with a LayerNorm behind it."""

    def __init__(self, config: SwinConfig, dynamic_img_size: bool) -> None:
        super().__init__(config, dynamic_img_size)
        self.norm = nn.LayerNorm(config.dim, eps=LAYER_NORM_EPS)

    def forward(self, inputs: Tensor) -> Tensor:
        """The grid [B, H, W, D] of images [B, C, H * P, W * P]."""
        x = self.norm(super().forward(inputs))
        return x.unflatten(1, (round(x.shape[1] ** 0.5), -1))


class SwinLayer(nn.Module):
    """One stage's modules under timm's names."""

    def __init__(self, stage: SwinStage, merges: bool, rates: Sequence[float]) -> None:
        super().__init__()
        self.downsample = PatchMerging(stage.dim // 2) if merges else nn.Identity()
        self.blocks = nn.ModuleList(SwinBlock(stage, number, rate) for number, rate in enumerate(rates))


class SwinTransformer(ImageClassifier):
    """Swin with average pooling over all tokens.

    Made on the CPU in float32 with the same weights for the same seed whatever was drawn before, and leaves the
    global random state alone.

    Arguments:
        config: sizes.
        token_method: of `trainer.models.swin_tokens`, or `DenseFlow`.
        seed: of the weights.
        drop_path_rate: of the last block; earlier ones have less.
        dynamic_img_size: take square images of other sizes too; windows stay and grids are padded to them.
    """

    def __init__(
        self,
        config: SwinConfig,
        token_method: TokenMethod | None = None,
        seed: int = 0,
        *,
        drop_path_rate: float = 0.0,
        dynamic_img_size: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        rates = iter(drop_path_rates(drop_path_rate, config.depth))
        with torch.random.fork_rng(devices=[]):  # the layers' own initial values, which `initialise` replaces
            self.patch_embed = NormedPatchEmbed(config, dynamic_img_size)
            self.layers = nn.ModuleList(
                SwinLayer(stage, number > 0, [next(rates) for _ in range(stage.depth)])
                for number, stage in enumerate(config.stages)
            )
            features = config.stages[-1].dim
            self.norm = nn.LayerNorm(features, eps=LAYER_NORM_EPS)
            self.head = nn.ModuleDict({"fc": nn.Linear(features, config.classes)})
        initialise(self, seed)
        self.token_method = token_method or DenseFlow()

    def no_weight_decay(self) -> set[str]:
        """See `ImageClassifier`."""
        return {name for name, _ in self.named_parameters() if name.endswith("relative_position_bias_table")}

    @staticmethod
    def timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state dict of the original repository or of an older timm, under the names of today's timm."""
        tables = ("relative_position_index", "attn_mask")
        state = {name: tensor for name, tensor in state.items() if not name.endswith(tables)}
        shift = any(name.startswith("layers.0.downsample") for name in state)
        return {_renamed(name, shift): tensor for name, tensor in state.items()}

    def forward(
        self, inputs: Tensor, keep: KeepSetting = DENSE, *, record: dict[str, Tensor] | None = None
    ) -> ModelOutput:
        """Run the model on images [B, C, H, W].

        `kept` and `keys` of the output are those of `trainer.models.swin_tokens.WindowSelector`.
        """
        note = Recorder(record) if record is not None else SILENT
        state = ForwardState(keep, note, prefix=0)
        x = note("patch_embed", self.patch_embed(inputs))
        for layer, stage in zip(self.layers, self.config.stages, strict=True):
            assert isinstance(layer, SwinLayer)
            x = self.token_method(layer.blocks, layer.downsample(x), state)
            state.first_block += stage.depth
        x = note("norm", self.norm(x).flatten(1, 2))
        last = state.last_probabilities
        return state.output(
            note("logits", self.head["fc"](x.mean(dim=1))),
            x,
            last.variance(),  # type: ignore[attr-defined]
        )


def _renamed(name: str, shift: bool) -> str:
    """The head had no pooling around it; with `shift`, merging stands at the end of a stage, as it once did."""
    layer, downsample, rest = name.partition(".downsample")
    if downsample and shift:
        return f"layers.{int(layer.removeprefix('layers.')) + 1}{downsample}{rest}"
    return name.replace("head.", "head.fc.", 1) if name in ("head.weight", "head.bias") else name
