"""How many tokens each block of a run computes: what the paper's selector gives, and no selector at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from trainer.keep import Keep


class BlockTokens(NamedTuple):
    """Tokens of one block, class tokens not counted.

    Attributes:
        attention: those that norm1, qkv, attention and its projection see.
        feed_forward: those that the MLP sees.
        key_count: patch keys of each patch query; None is all.
        fused: how many of `attention` are fused tokens, which attend to all and are attended to by all.
    """

    attention: int
    feed_forward: int
    key_count: int | None = None
    fused: int = 0


class Predictor(NamedTuple):
    """A linear layer of a token method's own: `rows` an image, of `inputs` values, to `outputs`.

    Without `input_gradient` it reads tokens without passing a gradient to them.
    """

    name: str
    rows: int
    inputs: int
    outputs: int
    input_gradient: bool = True


class Run(NamedTuple):
    """A run of `depth` blocks of width `dim` that `patches` patch tokens enter, behind `first_block` other blocks."""

    patches: int
    depth: int
    dim: int
    first_block: int = 0


@dataclass(frozen=True)
class Flow:
    """What a token method does with a run of blocks.

    Attributes:
        blocks: tokens of every block.
        leaving: patch tokens behind the last block.
        predictors: the method's own layers.
        teacher: whether the dense model runs forward beside it.
    """

    blocks: tuple[BlockTokens, ...]
    leaving: int
    predictors: tuple[Predictor, ...] = ()
    teacher: bool = False


def dense(run: Run) -> Flow:
    """Every block sees everything."""
    return Flow((BlockTokens(run.patches, run.patches),) * run.depth, run.patches)


def trilevel(run: Run, keep: Keep, places: Sequence[int], placement: str = "before", fused_token: bool = False) -> Flow:
    """The Token & Attention selector at the one-based blocks `places`, as in `trainer.tokens.trilevel`."""
    blocks = []
    patches, fused = run.patches, 0
    key_count: int | None = None
    for number in range(run.first_block, run.first_block + run.depth):
        entering = patches, key_count, fused
        choice = keep.choice(0, patches) if number + 1 in places else None
        if choice is not None:
            # A selector ranks the fused token of the one before like a patch, and makes its own only when it prunes.
            fused = int(fused_token and choice.token_count < patches)
            patches, key_count = choice.token_count + fused, choice.key_count
            if placement == "before":
                entering = patches, key_count, fused
        blocks.append(BlockTokens(entering[0], patches, *entering[1:]))
    return Flow(tuple(blocks), patches)
