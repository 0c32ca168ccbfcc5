"""One transformer block, forward and backward."""

from __future__ import annotations

from itertools import pairwise

from host.compiler.attention import attention_backward, attention_forward, attention_of_queries
from host.compiler.cut import cut_of
from host.compiler.emitter import Emitter, Rows
from host.compiler.layers import linear, linear_input_gradient, linear_weight_gradient, norm, norm_backward
from host.compiler.selector import choose
from host.compiler.update import update_summed


def block_forward(e: Emitter, index: int) -> None:
    """Norm, attention, residual; norm, MLP with GELU, residual."""
    cut = cut_of(e, index)
    attention_forward(e, index, cut)
    for before, queries in pairwise(cut.queries):
        attention_of_queries(e, index, queries)
        with e.beside():
            to_hidden(e, index, _rows_of(before))
    if len(cut.queries) > 1 or not cut.by_passes:
        choose(e, index + 1)
    to_hidden(e, index, _rows_of(cut.queries[-1]) if len(cut.queries) > 1 else e.rows_after(index))
    from_hidden(e, index, e.rows_after(index))


def behind_attention(e: Emitter, index: int, rows: Rows) -> None:
    """Projection and residual; norm, MLP with GELU, residual of some rows."""
    to_hidden(e, index, rows)
    from_hidden(e, index, rows)


def to_hidden(e: Emitter, index: int, rows: Rows) -> None:
    """Projection and residual, norm, and the MLP's first layer with GELU, of some rows."""
    block, middle = f"blocks.{index}.", e.matrix(f"blocks.{index}.after_attn")
    linear(
        e, block + "attn.proj", e.matrix(block + "attn.context"), middle, rows,
        residual=e.matrix(e.input_of(index)),
    )  # fmt: skip
    norm(e, block + "norm2", block + "after_attn", rows)
    hidden = e.matrix(block + "mlp.gelu")
    linear(e, block + "mlp.fc1", e.matrix(block + "norm2"), hidden, rows, pre=e.matrix(block + "mlp.fc1"))


def from_hidden(e: Emitter, index: int, rows: Rows) -> None:
    """The MLP's second layer and residual, of some rows."""
    block, hidden = f"blocks.{index}.", e.matrix(f"blocks.{index}.mlp.gelu")
    linear(e, block + "mlp.fc2", hidden, e.matrix(block + "out"), rows, residual=e.matrix(block + "after_attn"))


def _rows_of(queries: range) -> Rows:
    """Of the only image."""
    return Rows(len(queries), int(queries.start == 0), queries.start)


def block_backward(e: Emitter, index: int) -> None:
    """From the gradient of the block's output to that of its input, behind its selector.

    Gradients of weights are needed last: they run beside the backward pass of attention, those of its own projections
    beside that of the next block. So do updates of biases and layer norms, each short: there are many. The last block's
    attention, of class rows only, is too short to have more beside it.
    """
    block, after = f"blocks.{index}.", e.rows_after(index)
    d_out, d_hidden = e.matrix(f"d.{block}out"), e.matrix(f"d.{block}mlp.fc1")
    linear_input_gradient(e, block + "mlp.fc2", d_out, d_hidden, after, pre=e.matrix(block + "mlp.fc1"))
    linear_input_gradient(e, block + "mlp.fc1", d_hidden, e.matrix(f"d.{block}norm2"), after)
    d_middle = f"d.{block}after_attn"
    norm_backward(
        e, block + "norm2", block + "after_attn", f"d.{block}norm2", d_middle, after, residual=f"d.{block}out"
    )  # fmt: skip
    linear_input_gradient(e, block + "attn.proj", e.matrix(d_middle), e.matrix(f"d.{block}attn.context"), after)
    attention_backward(e, index)
    with e.beside():
        if index + 1 < e.model.depth:
            qkv_weight_gradient(e, index + 1)
        linear_weight_gradient(e, block + "mlp.fc2", d_out, e.matrix(block + "mlp.gelu"), after)
        linear_weight_gradient(e, block + "mlp.fc1", d_hidden, e.matrix(block + "norm2"), after)
        linear_weight_gradient(e, block + "attn.proj", e.matrix(d_middle), e.matrix(block + "attn.context"), after)
        if not e.class_only(index):
            update_summed(e)
    rows, d_qkv, d_norm = e.rows(index), e.matrix(f"d.{block}attn.qkv"), e.matrix(f"d.{block}norm1")
    linear_input_gradient(e, block + "attn.qkv", d_qkv, d_norm, rows, segments=3)
    x = e.input_of(index)
    norm_backward(e, block + "norm1", x, f"d.{block}norm1", f"d.{x}", rows, residual=d_middle)


def qkv_weight_gradient(e: Emitter, index: int) -> None:
    """Gradients of the query, key and value projections of block `index`."""
    name = f"blocks.{index}.attn.qkv"
    normal = e.matrix(f"blocks.{index}.norm1")
    linear_weight_gradient(e, name, e.matrix(f"d.{name}"), normal, e.rows(index), parts=3)
