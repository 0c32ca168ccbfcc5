"""How the attention of a block is cut, so that something runs beside it: the fastest way, as estimated."""

from __future__ import annotations

from dataclasses import dataclass

from host.compiler.cycles import AttentionShape, selection
from host.compiler.emitter import Emitter
from host.compiler.heads import fastest_way
from host.compiler.queries import Behind, first_part, query_parts


@dataclass(frozen=True)
class Cut:
    """One way.

    Attributes:
        heads: groups of them; projections of one are made beside attention of the one before.
        queries: parts of an image's; what follows attention is done to one beside attention of the next.
        by_passes: scores and values (of the first part) are instructions of their own; values are made beside the
            scores, and beside the sums of values, where that is the only part, the next selector chooses.
    """

    heads: tuple[range, ...]
    queries: tuple[range, ...]
    by_passes: bool = False


def cut_of(e: Emitter, index: int) -> Cut:
    """The cut of block `index`. An image's rows are one range only in a batch of one."""
    config, heads, shape, mapped = e.layout.config, e.model.heads, attention_shape(e, index), mapped_rows(e, index)
    choosing = _choosing(e, index)
    whole = fastest_way(config, heads, e.batch, shape, mapped, choosing)
    if e.batch == 1 and not e.class_only(index):
        behind = Behind(e.model.dim, e.model.mlp_hidden, e.saves)
        cycles, parts = query_parts(config, heads, shape, behind, mapped)
        if cycles + choosing < whole.cycles + behind.cycles(config, shape.tokens):
            first = first_part(config, heads, shape, parts, mapped)
            return Cut(first.heads, parts, first.by_passes)
    return Cut(whole.heads, (range(shape.queries),), whole.by_passes)


def attention_shape(e: Emitter, index: int) -> AttentionShape:
    """What the estimates take for an image of block `index`."""
    patches, keys = e.block(index).patches, e.block(index).key_count if e.uses_keys(index) else None
    queries = 1 if e.class_only(index) else 1 + patches
    return AttentionShape(1 + patches, queries, 1 + (keys or patches), e.model.dim, e.model.padded_head_dim)


def mapped_rows(e: Emitter, index: int) -> int:
    """Queries of block `index` whose probabilities are needed: by the next selector, or for the attention variance."""
    if index == e.model.depth - 1:
        return 1 if e.train else 0
    if e.selects_keys(index + 1):
        return 1 + e.block(index).patches
    return 1 if e.plan.prunes(index + 1) else 0


def _choosing(e: Emitter, index: int) -> float:
    """Cycles of the selector behind the attention of block `index`."""
    if index + 1 == e.model.depth or not e.selects(index + 1):
        return 0.0
    before, keep, lists = e.block(index).patches, e.block(index + 1).patches, e.selects_keys(index + 1)
    return selection(e.layout.config, e.batch, 1 + before, keep, lists=lists)
