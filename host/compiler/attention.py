"""Attention of a block: what it reads, in which pieces it runs beside what, and its backward pass."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hls.spec.formats import EXPONENTIAL_BITS, scale_mantissa
from hls.spec.pieces import PARTS
from host.compiler.cut import Cut, mapped_rows
from host.compiler.emitter import Emitter, Rows
from host.compiler.layers import linear, linear_of_columns, norm
from host.compiler.selector import choose
from host.layout import skip_columns, skip_rows

VALUES = 2
"""Of the three parts of the projections, the one that only sums of values read."""


def attention_forward(e: Emitter, index: int, cut: Cut) -> None:
    """Norm, projections and attention of block `index`, of the first part of its queries; where all go together and by
    passes, what the next block's selector chooses by its map."""
    norm(e, f"blocks.{index}.norm1", e.input_of(index), e.rows(index))
    if cut.by_passes:
        _attention_by_passes(e, index, cut)
    elif len(cut.heads) > 1:
        _attention_by_heads(e, index, cut)
    else:
        _projections(e, index, e.rows(index))
        attention_of_queries(e, index, cut.queries[0])
    if e.train and index == e.model.depth - 1:
        _attention_variance(e, index)


def before_attention(e: Emitter, index: int, rows: Rows) -> None:
    """Norm; queries, keys and values of some rows."""
    norm(e, f"blocks.{index}.norm1", e.input_of(index), rows)
    _projections(e, index, rows)


def attention(e: Emitter, index: int, images: range) -> None:
    """Attention of block `index`, of some images that follow each other."""
    _attention(e, index, replace(_whole(e, index), images=images))


def attention_of_queries(e: Emitter, index: int, queries: range) -> None:
    """Attention of block `index`, of some queries of each image."""
    _attention(e, index, replace(_whole(e, index), queries=queries))


def _projections(e: Emitter, index: int, rows: Rows) -> None:
    block = f"blocks.{index}."
    linear(e, block + "attn.qkv", e.matrix(block + "norm1"), e.matrix(block + "attn.qkv"), rows)


def _attention_by_heads(e: Emitter, index: int, cut: Cut) -> None:
    """While some heads are at attention, queries, keys and values of the next ones are made."""
    _project(e, index, cut.heads[0], parts=PARTS)
    for heads, behind in zip(cut.heads, [*cut.heads[1:], None], strict=True):
        _attention(e, index, replace(_whole(e, index), heads=heads, queries=cut.queries[0]))
        if behind is not None:
            with e.beside():
                _project(e, index, behind, parts=PARTS)


def _attention_by_passes(e: Emitter, index: int, cut: Cut) -> None:
    """Values are made beside the scores; beside the sums of values the next selector chooses, if all queries go
    together."""
    _project(e, index, range(VALUES * e.model.heads))
    _attention(e, index, replace(_whole(e, index), queries=cut.queries[0], passes=("SCORES",)))
    with e.beside():
        _project(e, index, range(VALUES * e.model.heads, PARTS * e.model.heads))
    _attention(e, index, replace(_whole(e, index), queries=cut.queries[0], passes=("VALUES",)))
    if len(cut.queries) == 1:
        with e.beside():
            choose(e, index + 1)


def _project(e: Emitter, index: int, heads: range, *, parts: int = 1) -> None:
    """Columns of the projections, in heads of each of `parts` equal parts of all of them: of all rows."""
    block, width = f"blocks.{index}.", e.model.padded_head_dim
    x, y, own = e.matrix(block + "norm1"), e.matrix(block + "attn.qkv"), range(heads.start * width, heads.stop * width)
    linear_of_columns(e, block + "attn.qkv", x, y, e.rows(index), own, parts=parts)


@dataclass(frozen=True)
class _Asked:
    """What one instruction makes: of some images, of their heads and of their queries; one or both passes.

    Of more than one image these are all heads.
    """

    images: range
    heads: range
    queries: range
    passes: tuple[str, ...] = ("SCORES", "VALUES")


def _whole(e: Emitter, index: int) -> _Asked:
    """All that block `index` has."""
    return _Asked(range(e.batch), range(e.model.heads), range(_dimensions(e, index)["queries"]))


def _attention(e: Emitter, index: int, asked: _Asked) -> None:
    """One instruction."""
    patches, name, width = e.block(index).patches, f"blocks.{index}.attn", e.model.padded_head_dim
    images, heads, flags = asked.images, asked.heads, asked.passes
    shape = _dimensions(e, index) | {"batch": len(images), "heads": len(heads)}
    softmax_rows = (images.start * e.model.heads + heads.start) * shape["queries"]
    first = heads.start * width
    operands = {
        "qkv": skip_columns(skip_rows(e.matrix(f"{name}.qkv"), images.start), first),
        "probability": skip_rows(e.matrix(f"{name}.softmax", 1 + patches), softmax_rows),
    }
    if "VALUES" in flags:
        operands["y"] = skip_columns(skip_rows(e.matrix(f"{name}.context"), images.start), first)
    if e.uses_keys(index):
        operands["keys"] = skip_rows(e.keys_of(index), images.start * patches)
        flags += ("SPARSE",)
    mapped = mapped_rows(e, index)
    map_rows = mapped if "SCORES" in flags and asked.queries.start < mapped else 0
    if map_rows:
        operands["map"] = skip_rows(e.matrix(f"{name}.map", 1 + patches), images.start * map_rows)
        flags += ("MAP",)
    # Behind the class rows of these images come those of later ones and the patches of earlier ones.
    gap = e.batch - images.stop + images.start * patches
    e.emit(
        f"{name} forward", "attention", operands, flags=flags, immediates={"scale": _softmax_scale(e)},
        **shape, first=asked.queries.start, count=len(asked.queries), map_rows=map_rows, gap=gap,
        skipped=(PARTS - 1) * width * (e.model.heads - len(heads)),
    )  # fmt: skip


def _attention_variance(e: Emitter, index: int) -> None:
    """Of the class query's probabilities in block `index`: what the example level ranks images by."""
    patches, name = e.block(index).patches, f"blocks.{index}.attn"
    operands = {"map": e.matrix(f"{name}.map", 1 + patches), "variance": e.matrix("variance")}
    rows = mapped_rows(e, index)
    e.emit(f"{name} variance", "class_variance", operands, batch=e.batch, patches=patches, map_rows=rows)


def attention_backward(e: Emitter, index: int) -> None:
    """Gradients of queries, keys and values of block `index`, of all images and heads."""
    patches, name = e.block(index).patches, f"blocks.{index}.attn"
    operands = {
        "qkv": e.matrix(f"{name}.qkv"),
        "probability": e.matrix(f"{name}.softmax", 1 + patches),
        "dy": e.matrix(f"d.{name}.context"),
        "dscore": e.matrix(f"d.{name}.scores", 1 + patches),
        "dqkv": e.matrix(f"d.{name}.qkv"),
    }
    flags: tuple[str, ...] = ()
    if e.uses_keys(index):
        operands["keys"] = e.keys_of(index)
        flags = ("SPARSE",)
    mantissa, shift = scale_mantissa(e.model.head_dim**-0.5)
    immediates = {"gradient_mantissa": mantissa, "gradient_shift": shift}
    e.emit(
        f"{name} backward", "attention_backward", operands, flags=flags, immediates=immediates,
        **_dimensions(e, index),
    )  # fmt: skip


def _dimensions(e: Emitter, index: int) -> dict[str, int]:
    plan = e.block(index)
    return {
        "batch": e.batch,
        "patches": plan.patches,
        "heads": e.model.heads,
        "head_dim": e.model.padded_head_dim,
        "key_count": plan.key_count or 0 if e.uses_keys(index) else 0,
        "queries": 1 if e.class_only(index) else 1 + plan.patches,
    }


def _softmax_scale(e: Emitter) -> int:
    """1 / sqrt(head dimension), the unpadded one, times log2(e)."""
    return round(e.model.head_dim**-0.5 * math.log2(math.e) * 2**EXPONENTIAL_BITS)
