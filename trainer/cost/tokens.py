"""How many tokens each block of a run computes, by token method: what training does, and what inference does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BlockTokens:
    """Patch tokens of one block, class tokens not counted.

    Attributes:
        attention: those that norm1, qkv, attention and its projection see.
        feed_forward: those that the MLP sees.
        key_count: patch keys of each patch query; None is all.
    """

    attention: int
    feed_forward: int
    key_count: int | None = None


def dense(patches: int, depth: int) -> tuple[BlockTokens, ...]:
    """Every block sees everything."""
    return (BlockTokens(patches, patches),) * depth
