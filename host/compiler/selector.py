"""Token and key selection in front of a block, and its backward."""

from __future__ import annotations

from host.compiler.emitter import Emitter
from host.tensors import input_stream


def choose(e: Emitter, index: int) -> None:
    """In front of block `index` choose tokens by the class row of the block before and keys by its patch rows.

    A selector that keeps everything is nothing at all.
    """
    if index == e.model.depth or not e.selects(index):
        return
    block, before, keep = f"blocks.{index}.", e.plan.entering(index), e.block(index).patches
    attention_map, kept = e.matrix(f"blocks.{index - 1}.attn.map", 1 + before), e.matrix(block + "kept", keep)
    map_rows = 1 + before if e.selects_keys(index) else 1
    e.emit(
        f"{block}select_tokens", "select_tokens", {"map": attention_map, "kept": kept},
        batch=e.batch, patches=before, map_rows=map_rows, keep=keep,
    )  # fmt: skip
    if e.selects_keys(index):
        keys = {"map": attention_map, "kept": kept, "keys": e.keys_of(index)}
        key_count = e.block(index).key_count or 0
        e.emit(
            f"{block}select_keys", "select_keys", keys, batch=e.batch, patches=before, keep=keep, key_count=key_count
        )


def gather(e: Emitter, index: int) -> None:
    """Gather the tokens that were chosen in front of block `index`; one that keeps all tokens gathers nothing."""
    if not e.plan.prunes(index):
        return
    block, before, keep = f"blocks.{index}.", e.plan.entering(index), e.block(index).patches
    gathered = {
        "x": e.matrix(input_stream(index)),
        "kept": e.matrix(block + "kept", keep),
        "y": e.matrix(block + "in"),
    }
    e.emit(f"{block}gather_tokens", "gather_tokens", gathered, batch=e.batch, patches=before, keep=keep, n=e.model.dim)


def selector_backward(e: Emitter, index: int) -> None:
    """Bring the gradient of the kept tokens back to their places; pruned ones get zero."""
    if not e.plan.prunes(index):
        return
    block, before, keep = f"blocks.{index}.", e.plan.entering(index), e.block(index).patches
    operands = {
        "dy": e.matrix(f"d.{block}in"),
        "kept": e.matrix(block + "kept", keep),
        "dx": e.matrix(f"d.{input_stream(index)}"),
    }
    e.emit(
        f"{block}scatter_tokens", "scatter_tokens", operands, batch=e.batch, patches=before, keep=keep, n=e.model.dim
    )
