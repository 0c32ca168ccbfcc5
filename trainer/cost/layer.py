"""Layers as instructions of the op table, and the multiply-accumulates (MACs) of their passes.

A linear layer is `gemm_nt` forward, `gemm_nn` for the gradient of its input and `gemm_tn` for that of its weight. A
convolution is the product over its extracted patches. Attention is `attention` and `attention_backward`. What is no
product (norms, softmax, GELU, biases, selection) has no MACs in the op table and is left out here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hls.spec.instruction import Instruction
from hls.spec.ops import BY_NAME
from sim.macs import macs

BACKWARD_PRODUCTS = 4
"""Products of `attention_backward`: dV, dP, dQ and dK; who computes the probabilities again has q k^T once more."""


@dataclass(frozen=True)
class Layer:
    """One layer's forward pass.

    Without `input_gradient` nothing in front of it learns, so no dX is computed; without `learns` it is a teacher's,
    and there is no backward pass at all.
    """

    name: str
    forward: Instruction
    input_gradient: bool = True
    learns: bool = True


@dataclass(frozen=True)
class Row:
    """One pass of one layer: `work` is forward, dX, dW or backward."""

    layer: str
    work: str
    op: str
    macs: int


def linear(name: str, rows: int, inputs: int, outputs: int, *, input_gradient: bool = True) -> Layer:
    """A linear layer over `rows` rows of `inputs` values."""
    dimensions = {"rows": rows, "split": 0, "n": outputs, "k": inputs, "period": rows}
    dimensions |= {"part": outputs, "skipped": 0, "next_n": 0, "next_k": 0}
    return Layer(name, _instruction("gemm_nt", dimensions), input_gradient)


def attention(name: str, batch: int, tokens: int, heads: int, head_dim: int, *, queries: int | None = None) -> Layer:
    """Dense attention: of `batch` images or windows, `queries` (None: all) of `tokens` tokens look at all of them."""
    return _attention(name, batch, tokens - 1, heads, head_dim, tokens if queries is None else queries, 0)


def sparse_attention(name: str, batch: int, patches: int, heads: int, head_dim: int, key_count: int) -> Layer:
    """The class token looks at everything; each of `patches` patches at the class token and `key_count` patches."""
    return _attention(name, batch, patches, heads, head_dim, 1 + patches, key_count)


def _attention(name: str, batch: int, patches: int, heads: int, head_dim: int, queries: int, key_count: int) -> Layer:
    dimensions = {"batch": batch, "patches": patches, "heads": heads, "head_dim": head_dim, "key_count": key_count}
    dimensions |= {"queries": queries, "first": 0, "count": queries, "map_rows": 0, "gap": 0, "skipped": 0}
    flags = ("SCORES", "VALUES", "SPARSE") if key_count else ("SCORES", "VALUES")
    return Layer(name, _instruction("attention", dimensions, flags))


def rows_of(layers: Iterable[Layer], *, backward: bool, recompute: bool = False) -> Iterator[Row]:
    """The passes of `layers`: forward, and with `backward` what the backward pass adds.

    With `recompute` the backward pass of attention computes its probabilities again, as fused attention does, and that
    product counts; without it they were stored, as the accelerator does.
    """
    for layer in layers:
        yield Row(layer.name, "forward", layer.forward.op.name, macs(layer.forward))
        if backward and layer.learns:
            yield from _backward(layer, recompute)


def total_macs(layers: Iterable[Layer], *, backward: bool, recompute: bool = False) -> int:
    """The sum of `rows_of`."""
    return sum(row.macs for row in rows_of(layers, backward=backward, recompute=recompute))


def _backward(layer: Layer, recompute: bool) -> Iterator[Row]:
    d = layer.forward.dimensions
    if layer.forward.op.name == "attention":
        count = macs(_instruction("attention_backward", d, tuple(layer.forward.flags & {"SPARSE"})))
        if recompute:
            count += count // BACKWARD_PRODUCTS
        yield Row(layer.name, "backward", "attention_backward", count)
        return
    shape = {"rows": d["rows"], "split": 0}
    if layer.input_gradient:
        input_gradient = shape | {"n": d["k"], "k": d["n"], "segments": 1, "next_n": 0, "next_k": 0}
        yield Row(layer.name, "dX", "gemm_nn", macs(_instruction("gemm_nn", input_gradient)))
    yield Row(layer.name, "dW", "gemm_tn", macs(_instruction("gemm_tn", shape | {"n": d["n"], "k": d["k"]})))


def _instruction(op: str, dimensions: dict[str, int], flags: tuple[str, ...] = ()) -> Instruction:
    """An instruction without operands: only what it computes matters here."""
    row = BY_NAME[op]
    return Instruction(row, dimensions={n: dimensions[n] for n in row.dimensions}, flags=frozenset(flags))
