"""Attention of a block: what it reads, in which pieces it runs beside what, and its backward pass."""

from __future__ import annotations

import math

from hls.spec.formats import EXPONENTIAL_BITS, scale_mantissa
from hls.spec.pieces import PARTS
from host.compiler.emitter import Emitter, Rows
from host.compiler.heads import AttentionShape, head_groups, passes_apart, selection
from host.compiler.layers import linear, linear_of_columns, norm
from host.compiler.selector import choose
from host.layout import skip_columns, skip_rows

VALUES = 2
"""Of the three parts of the projections, the one that only sums of values read."""


def attention_forward(e: Emitter, index: int) -> None:
    """Norm, projections and attention of block `index`, and what the next block's selector chooses by its map."""
    groups = _groups(e, index)
    if len(groups) > 1:
        _attention_by_heads(e, index, groups)
    elif _goes_by_passes(e, index):
        _attention_by_passes(e, index)
    else:
        before_attention(e, index, e.rows(index))
        attention(e, index)
        choose(e, index + 1)
    if e.train and index == e.model.depth - 1:
        _attention_variance(e, index)


def before_attention(e: Emitter, index: int, rows: Rows) -> None:
    """Norm; queries, keys and values of some rows."""
    block = f"blocks.{index}."
    norm(e, block + "norm1", e.input_of(index), rows)
    linear(e, block + "attn.qkv", e.matrix(block + "norm1"), e.matrix(block + "attn.qkv"), rows)


def attention(e: Emitter, index: int, images: range | None = None) -> None:
    """Attention of block `index`, of all images or of some that follow each other."""
    _attention(e, index, images or range(e.batch), range(e.model.heads))


def _attention_by_heads(e: Emitter, index: int, groups: tuple[range, ...]) -> None:
    """Norm, projections and attention of block `index`: while some heads are at attention, queries, keys and values of
    the next ones are made."""
    norm(e, f"blocks.{index}.norm1", e.input_of(index), e.rows(index))
    _project(e, index, groups[0], parts=PARTS)
    for heads, behind in zip(groups, [*groups[1:], None], strict=True):
        _attention(e, index, range(1), heads)
        if behind is not None:
            with e.beside():
                _project(e, index, behind, parts=PARTS)


def _attention_by_passes(e: Emitter, index: int) -> None:
    """Norm, projections and attention of block `index`: values are made beside the scores; beside the sums of values
    the next selector chooses."""
    images, heads = range(e.batch), range(e.model.heads)
    norm(e, f"blocks.{index}.norm1", e.input_of(index), e.rows(index))
    _project(e, index, range(VALUES * e.model.heads))
    _attention(e, index, images, heads, ("SCORES",))
    with e.beside():
        _project(e, index, range(VALUES * e.model.heads, PARTS * e.model.heads))
    _attention(e, index, images, heads, ("VALUES",))
    with e.beside():
        choose(e, index + 1)


def _groups(e: Emitter, index: int) -> tuple[range, ...]:
    """Heads of block `index` that go together: all, or of a single image some, since its heads lie side by side. A map
    is a sum over all heads."""
    if e.batch > 1 or _map_rows(e, index):
        return (range(e.model.heads),)
    return head_groups(e.layout.config, e.model.heads, _shape_of_image(e, index))


def _goes_by_passes(e: Emitter, index: int) -> bool:
    """Whether scores and values of block `index` are instructions of their own, as that is estimated to be faster."""
    config, shape, choosing = e.layout.config, _shape_of_image(e, index), 0.0
    if index + 1 < e.model.depth and e.selects(index + 1):
        keep, lists = e.block(index + 1).patches, e.selects_keys(index + 1)
        choosing = selection(config, e.batch, shape.tokens, keep, lists=lists)
    return passes_apart(config, e.model.heads, e.batch, shape, _map_rows(e, index), choosing)


def _shape_of_image(e: Emitter, index: int) -> AttentionShape:
    shape = _attention_shape(e, index)
    keys = shape["key_count"] or shape["patches"]
    return AttentionShape(1 + shape["patches"], shape["queries"], 1 + keys, e.model.dim, e.model.padded_head_dim)


def _project(e: Emitter, index: int, heads: range, *, parts: int = 1) -> None:
    """Columns of the projections, in heads of each of `parts` equal parts of all of them: of all rows."""
    block, width = f"blocks.{index}.", e.model.padded_head_dim
    x, y, own = e.matrix(block + "norm1"), e.matrix(block + "attn.qkv"), range(heads.start * width, heads.stop * width)
    linear_of_columns(e, block + "attn.qkv", x, y, e.rows(index), own, parts=parts)


def _attention(
    e: Emitter, index: int, own: range, heads: range, passes: tuple[str, ...] = ("SCORES", "VALUES")
) -> None:
    """Attention of some images and, where that is one, of some heads; one or both of its passes."""
    patches, name, width = e.block(index).patches, f"blocks.{index}.attn", e.model.padded_head_dim
    shape, flags = _attention_shape(e, index) | {"batch": len(own), "heads": len(heads)}, passes
    shape |= {"first": 0, "count": shape["queries"]}
    map_rows = _map_rows(e, index) if "SCORES" in passes else 0
    softmax_rows = (own.start * e.model.heads + heads.start) * shape["queries"]
    first = heads.start * width
    operands = {
        "qkv": skip_columns(skip_rows(e.matrix(f"{name}.qkv"), own.start), first),
        "probability": skip_rows(e.matrix(f"{name}.softmax", 1 + patches), softmax_rows),
    }
    if "VALUES" in passes:
        operands["y"] = skip_columns(skip_rows(e.matrix(f"{name}.context"), own.start), first)
    if e.uses_keys(index):
        operands["keys"] = skip_rows(e.keys_of(index), own.start * patches)
        flags += ("SPARSE",)
    if map_rows:
        operands["map"] = skip_rows(e.matrix(f"{name}.map", 1 + patches), own.start * map_rows)
        flags += ("MAP",)
    # Behind the class rows of these images come those of later ones and the patches of earlier ones.
    gap = e.batch - own.stop + own.start * patches
    e.emit(
        f"{name} forward", "attention", operands, flags=flags, immediates={"scale": _softmax_scale(e)},
        **shape, map_rows=map_rows, gap=gap, skipped=(PARTS - 1) * width * (e.model.heads - len(heads)),
    )  # fmt: skip


def _map_rows(e: Emitter, index: int) -> int:
    """Queries of block `index` whose probabilities are needed: by the next selector, or for the attention variance."""
    if index == e.model.depth - 1:
        return 1 if e.train else 0
    if e.selects_keys(index + 1):
        return 1 + e.block(index).patches
    return 1 if e.plan.prunes(index + 1) else 0


def _attention_variance(e: Emitter, index: int) -> None:
    """Of the class query's probabilities in block `index`: what the example level ranks images by."""
    patches, name = e.block(index).patches, f"blocks.{index}.attn"
    operands = {"map": e.matrix(f"{name}.map", 1 + patches), "variance": e.matrix("variance")}
    e.emit(f"{name} variance", "class_variance", operands, batch=e.batch, patches=patches, map_rows=_map_rows(e, index))


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
        **_attention_shape(e, index),
    )  # fmt: skip


def _attention_shape(e: Emitter, index: int) -> dict[str, int]:
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
