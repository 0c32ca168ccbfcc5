"""The two ends of the model: patch embedding in front of the blocks; norm, head and loss behind them."""

from __future__ import annotations

from host.compiler.emitter import Emitter, Rows
from host.compiler.layers import (
    column_sum,
    linear,
    linear_input_gradient,
    linear_weight_gradient,
    norm,
    norm_backward,
)
from host.layout import skip_rows
from host.tensors import input_stream

TARGET_BITS = 30
"""Fraction bits of the target probabilities of the cross-entropy."""


def embedding(e: Emitter) -> None:
    """Class rows from token and position; patch rows from patches, with the position rows as repeating residual."""
    model, tokens = e.model, e.matrix("tokens")
    operands = {"token": e.matrix("cls_token"), "position": e.matrix("pos_embed.class"), "x": tokens}
    e.emit("cls_token forward", "embed_class", operands, batch=e.batch, n=model.dim)
    linear(
        e, "patch_embed.proj", e.matrix("patches"), skip_rows(tokens, e.batch), _patch_rows(e),
        residual=e.matrix("pos_embed.patches"), period=model.patches,
    )  # fmt: skip


def embedding_backward(e: Emitter) -> None:
    """Gradients of patch embedding, class token and positions."""
    dim, gradient = e.model.dim, e.matrix("d.tokens")
    patch_gradient, rows = skip_rows(gradient, e.batch), _patch_rows(e)
    linear_weight_gradient(e, "patch_embed.proj", patch_gradient, e.matrix("patches"), rows)
    positions = e.matrix("grad.pos_embed.patches")
    column_sum(e, "pos_embed.patches gradient", patch_gradient, positions, rows, dim, period=e.model.patches)
    for name in ("pos_embed.class", "cls_token"):
        column_sum(e, f"{name} gradient", gradient, e.matrix(f"grad.{name}"), _class_rows(e), dim)


def head(e: Emitter) -> None:
    """Final norm, and the classifier on the class rows."""
    last = e.model.depth
    norm(e, "norm", input_stream(last), e.rows_after(last - 1))
    linear(e, "head", e.matrix("norm"), e.matrix("logits"), _class_rows(e))


def loss(e: Emitter, label_smoothing: float) -> None:
    """Cross-entropy terms, and in training the gradient of each image's own loss."""
    off = round(label_smoothing / e.model.classes * 2**TARGET_BITS)
    on = round((1 - label_smoothing) * 2**TARGET_BITS) + off
    operands = {"logits": e.matrix("logits"), "labels": e.matrix("labels"), "terms": e.matrix("terms")}
    if e.train:
        operands["dlogits"] = e.matrix("d.logits")
    e.emit(
        "cross_entropy", "cross_entropy", operands, flags=("GRADIENT",) if e.train else (),
        immediates={"target_on": on, "target_off": off}, batch=e.batch, n=e.model.classes,
    )  # fmt: skip


def head_backward(e: Emitter) -> None:
    """From the gradient of the logits to that of the last block's output."""
    dlogits, rows, stream = e.matrix("d.logits"), _class_rows(e), input_stream(e.model.depth)
    linear_input_gradient(e, "head", dlogits, e.matrix("d.norm"), rows)
    linear_weight_gradient(e, "head", dlogits, e.matrix("norm"), rows)
    norm_backward(e, "norm", stream, "d.norm", f"d.{stream}", rows)


def _class_rows(e: Emitter) -> Rows:
    return Rows(e.batch, e.batch)


def _patch_rows(e: Emitter) -> Rows:
    return Rows(e.batch * e.model.patches, 0)
