"""What is trained: the shape of a Vision Transformer, and how many tokens and keys each of its blocks sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from hls.spec.formats import LANES
from host.errors import PeelVitError
from host.schedules import check_ratio, keys_per_query, token_counts

SELECT_BEFORE = (4, 7, 10)
"""The paper's places for selectors: before these blocks, counted from 1."""


@dataclass(frozen=True)
class ViTConfig:
    """A pre-norm Vision Transformer with class-token pooling. Sizes in pixels, elements or counts."""

    name: str
    image_size: int
    patch_size: int
    channels: int
    dim: int
    depth: int
    heads: int
    mlp_hidden: int
    classes: int

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "name" and not (isinstance(value, int) and value > 0):
                raise PeelVitError(f"model {self.name}: {field.name} is {value!r}; give a positive whole number")
        if self.image_size % self.patch_size:
            raise PeelVitError(
                f"model {self.name}: {self.image_size} pixels do not divide into patches of {self.patch_size}; "
                "choose a patch size that divides the image"
            )
        if self.dim % self.heads:
            raise PeelVitError(
                f"model {self.name}: {self.heads} heads do not divide dimension {self.dim}; "
                "choose another number of heads"
            )
        if self.classes < 2:
            raise PeelVitError(f"model {self.name}: {self.classes} class cannot be learned; give at least 2 classes")

    @property
    def patches(self) -> int:
        """Patches of one image."""
        return (self.image_size // self.patch_size) ** 2

    @property
    def patch_features(self) -> int:
        """Values of one patch: channels, rows, columns."""
        return self.channels * self.patch_size**2

    @property
    def head_dim(self) -> int:
        """Dimension of one attention head."""
        return self.dim // self.heads

    @property
    def padded_head_dim(self) -> int:
        """Dimension of one head on the device: whole memory words, the rest zeros."""
        return -(-self.head_dim // LANES) * LANES

    @property
    def attention_width(self) -> int:
        """Columns of all queries (or keys, or values) of a token on the device."""
        return self.heads * self.padded_head_dim


PRESETS = {
    config.name: config
    for config in (
        ViTConfig("deit_tiny_patch16_224", 224, 16, 3, 192, 12, 3, 768, 1000),
        ViTConfig("deit_small_patch16_224", 224, 16, 3, 384, 12, 6, 1536, 1000),
        ViTConfig("vit_micro_patch4_32", 32, 4, 3, 96, 7, 3, 192, 10),
    )
}

_KEYS = {
    "image": "image_size",
    "patch": "patch_size",
    "channels": "channels",
    "dim": "dim",
    "depth": "depth",
    "heads": "heads",
    "mlp": "mlp_hidden",
    "classes": "classes",
}
_FORM = "vit:image=32,patch=4,dim=64,depth=4,heads=2,mlp=128,classes=10"


def parse_model(name: str, *, classes: int | None = None, channels: int | None = None) -> ViTConfig:
    """The preset `name`, or any model written as `vit:image=32,patch=4,dim=64,depth=4,heads=2,mlp=128,classes=10`.

    `channels=` may be left out (3), and so may `classes=` when the argument `classes` is given; the arguments, those of
    the data set for instance, win over the name.
    """
    given = {key: value for key, value in (("classes", classes), ("channels", channels)) if value is not None}
    if name in PRESETS:
        return _with_sizes(PRESETS[name], given)
    if not name.startswith("vit:"):
        raise PeelVitError(f"there is no model {name}; choose one of {', '.join(PRESETS)}, or write {_FORM}")
    sizes = {"channels": 3} | _parse_sizes(name) | given
    missing = [key for key, field in _KEYS.items() if field not in sizes]
    if missing:
        raise PeelVitError(f"model {name} lacks {', '.join(missing)}; write it like {_FORM}")
    return ViTConfig(name=name, **sizes)


def _with_sizes(preset: ViTConfig, sizes: dict[str, int]) -> ViTConfig:
    shape = {field: getattr(preset, field) for field in _KEYS.values()}
    return ViTConfig(name=preset.name, **(shape | sizes))


def _parse_sizes(name: str) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for part in name.removeprefix("vit:").split(","):
        key, _, value = part.partition("=")
        if key not in _KEYS or not value.isdecimal():
            raise PeelVitError(f"cannot read '{part}' in model {name}; write it like {_FORM}")
        if _KEYS[key] in sizes:
            raise PeelVitError(f"model {name} gives {key} twice; give it once")
        sizes[_KEYS[key]] = int(value)
    return sizes


@dataclass(frozen=True)
class BlockPlan:
    """What one block sees: `patches` tokens besides the class token, `key_count` patch keys a query (None: all)."""

    patches: int
    key_count: int | None = None


@dataclass(frozen=True)
class TokenPlan:
    """The blocks of a model, first to last, and the zero-based ones that have a selector in front."""

    blocks: tuple[BlockPlan, ...]
    selectors: tuple[int, ...]

    @property
    def token_counts(self) -> tuple[int, ...]:
        """Patches that each selector keeps."""
        return tuple(self.blocks[index].patches for index in self.selectors)

    @property
    def key_counts(self) -> tuple[int | None, ...]:
        """Patch keys a query that each selector keeps; None where attention is dense."""
        return tuple(self.blocks[index].key_count for index in self.selectors)

    def entering(self, index: int) -> int:
        """Patches before the selector of block `index`."""
        return self.blocks[index - 1].patches

    def prunes(self, index: int) -> bool:
        """Whether tokens are removed in front of block `index`."""
        return index in self.selectors and self.blocks[index].patches < self.entering(index)

    def selects_keys(self, index: int) -> bool:
        """Whether keys are selected in front of block `index`."""
        return index in self.selectors and self.blocks[index].key_count is not None


def dense_plan(model: ViTConfig) -> TokenPlan:
    """Every block sees every token and key."""
    return TokenPlan((BlockPlan(model.patches),) * model.depth, ())


def plan_tokens(
    model: ViTConfig,
    counts: Sequence[int],
    keys: Sequence[int | None],
    select_before: Sequence[int] = SELECT_BEFORE,
) -> TokenPlan:
    """The plan for given patch and key counts after each selector; as many keys as patches is dense attention.

    Places in `select_before` behind the last block are left out; `counts` and `keys` have an entry for each that stays.
    """
    places = selector_places(model, select_before)
    if not len(places) == len(counts) == len(keys):
        raise PeelVitError(
            f"{len(counts)} token counts and {len(keys)} key counts do not fit {len(places)} selectors; "
            "give one of each for every selector"
        )
    chosen = dict(zip(places, zip(counts, keys, strict=True), strict=True))
    blocks: list[BlockPlan] = []
    current = BlockPlan(model.patches)
    for index in range(model.depth):
        if index in chosen:
            current = _after_selector(current.patches, *chosen[index])
        blocks.append(current)
    return TokenPlan(tuple(blocks), places)


def _after_selector(entering: int, count: int, keys: int | None) -> BlockPlan:
    if not 1 <= count <= entering:
        raise PeelVitError(f"a selector cannot keep {count} of {entering} tokens; give a count from 1 to {entering}")
    if keys is not None and not 1 <= keys <= count:
        raise PeelVitError(f"a query cannot have {keys} of {count} patch keys; give a count from 1 to {count}")
    return BlockPlan(count, None if keys == count else keys)


def selector_places(model: ViTConfig, select_before: Sequence[int]) -> tuple[int, ...]:
    """Zero-based blocks of `model` with a selector in front; one-based places behind the last block are left out."""
    if list(select_before) != sorted(set(select_before)) or any(place < 2 for place in select_before):
        raise PeelVitError(
            f"selectors before blocks {', '.join(map(str, select_before))} make no sense; "
            "give ascending numbers from 2, such as 4 7 10"
        )
    return tuple(place - 1 for place in select_before if place <= model.depth)


@dataclass(frozen=True)
class Sparsity:
    """Token and attention level: the part of the tokens that a selector keeps, and of the keys that a query keeps."""

    token_keep: float = 1.0
    attention_keep: float = 1.0
    select_before: tuple[int, ...] = SELECT_BEFORE

    def __post_init__(self) -> None:
        check_ratio(self.token_keep, "token keep ratio")
        check_ratio(self.attention_keep, "attention keep ratio")

    def plan(self, model: ViTConfig) -> TokenPlan:
        """The counts that these ratios give for `model`; a ratio of 1 makes its selectors do nothing."""
        counts = token_counts(model.patches, self.token_keep, len(selector_places(model, self.select_before)))
        keys = [keys_per_query(count, self.attention_keep) for count in counts]
        return plan_tokens(model, counts, keys, self.select_before)
