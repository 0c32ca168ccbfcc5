"""Linear layers and layer normalisation, forward and backward."""

from __future__ import annotations

from hls.spec.formats import scale_mantissa
from hls.spec.instruction import Matrix
from host.compiler.emitter import Emitter, Rows
from host.layout import skip_columns, skip_rows

LAYER_NORM_EPS = 1e-6


def linear(
    e: Emitter,
    name: str,
    x: Matrix,
    y: Matrix,
    rows: Rows,
    *,
    residual: Matrix | None = None,
    period: int | None = None,
    pre: Matrix | None = None,
) -> None:
    """y = x w^T + bias of the layer `name`, + `residual`; with `pre`, y = GELU(pre). With `period` the residual has so
    many rows and repeats; else all are matrices of the whole tensor, of which these rows are taken."""
    weight = e.layout.tensors[f"{name}.weight"]
    operands = _layer_operands(e, name, x, y, rows)
    flags: tuple[str, ...] = ("BIAS",)
    if residual is not None:
        operands["residual"] = residual if period else skip_rows(residual, rows.first)
        flags += ("RESIDUAL",)
    if pre is not None:
        operands["pre"] = skip_rows(pre, rows.first)
        flags += ("GELU",)
    if e.has_just_made(operands["x"], rows.count, weight.columns):
        flags += ("SAME_X",)
    e.emit(
        f"{name} forward", "gemm_nt", operands, flags=flags,
        rows=rows.count, split=rows.classes, n=weight.rows, k=weight.columns, period=period or rows.count,
        part=weight.rows, skipped=0, next_n=0, next_k=0,
    )  # fmt: skip


def linear_of_columns(e: Emitter, name: str, x: Matrix, y: Matrix, rows: Rows, own: range, *, parts: int = 1) -> None:
    """The layer `name` for columns `own` of each of `parts` equal parts of y, as queries, keys and values are.

    The first ones come behind the norm that makes x, the others behind them with nothing but attention between, so they
    find x on chip.
    """
    weight = e.layout.tensors[f"{name}.weight"]
    operands = _layer_operands(e, name, x, y, rows)
    operands["w"] = skip_rows(operands["w"], own.start)
    operands |= {what: skip_columns(operands[what], own.start) for what in ("bias", "y")}
    skipped = (parts - 1) * (weight.rows // parts - len(own))
    e.emit(
        f"{name} forward", "gemm_nt", operands, flags=("BIAS", "SAME_X"),
        rows=rows.count, split=rows.classes, n=parts * len(own), k=weight.columns, period=rows.count,
        part=len(own), skipped=skipped, next_n=0, next_k=0,
    )  # fmt: skip


def _layer_operands(e: Emitter, name: str, x: Matrix, y: Matrix, rows: Rows) -> dict[str, Matrix]:
    """Those that every linear layer has, at some rows of the whole tensors."""
    x, y = skip_rows(x, rows.first), skip_rows(y, rows.first)
    return {"x": x, "w": e.matrix(f"{name}.weight"), "bias": e.matrix(f"{name}.bias"), "y": y}


def linear_input_gradient(
    e: Emitter, name: str, dy: Matrix, dx: Matrix, rows: Rows, *, pre: Matrix | None = None, segments: int = 1
) -> None:
    """dx = dy w; with `pre` times GELU'(pre): the gradient in front of a GELU that feeds the layer."""
    weight = e.layout.tensors[f"{name}.weight"]
    operands = {"dy": dy, "w": e.matrix(f"{name}.weight"), "dx": dx}
    flags: tuple[str, ...] = ()
    if pre is not None:
        operands["pre"] = pre
        flags += ("GELU_BACKWARD",)
    if segments == 1 and e.has_just_made(dy, rows.count, weight.rows):
        flags += ("SAME_DY",)
    e.emit(
        f"{name} dX", "gemm_nn", operands, flags=flags,
        rows=rows.count, split=rows.classes, n=weight.columns, k=weight.rows, segments=segments, next_n=0, next_k=0,
    )  # fmt: skip


def linear_weight_gradient(e: Emitter, name: str, dy: Matrix, x: Matrix, rows: Rows, *, parts: int = 1) -> None:
    """dw (+)= dy^T x, dbias (+)= column sums of dy; each of `parts` column ranges of dy has its own pair of slots.

    Where the optimizer step follows, the weight is updated instead of storing dw: nothing may read it afterwards.
    """
    weight = e.layout.tensors[f"{name}.weight"]
    dw, db = e.matrix(f"grad.{name}.weight"), e.matrix(f"grad.{name}.bias")
    flags = ("ACCUMULATE", "BIAS") if e.accumulate else ("BIAS",)
    updates = e.update_shift is not None
    width = weight.rows // parts
    for part in range(parts):
        first = part * width
        part_dy = skip_columns(dy, first)
        part_dy = Matrix(part_dy.address, part_dy.pitch, dy.slot + 2 * part)
        label = f"{name}[{part}]" if parts > 1 else name
        operands = {"dy": part_dy, "x": x, "dw": skip_rows(dw, first), "dbias": skip_columns(db, first, "i32")}
        if updates:
            operands |= updated_operands(e, f"{name}.weight", first)
        e.emit(
            f"{label} dW", "gemm_tn", operands,
            flags=flags + _part_flags(part, updates), immediates={"average_shift": e.update_shift or 0},
            rows=rows.count, split=rows.classes, n=width, k=weight.columns,
        )  # fmt: skip
    if updates:
        e.updated.add(f"{name}.weight")
    e.summed.append(f"{name}.bias")


def updated_operands(e: Emitter, name: str, row: int = 0, columns: int | None = None) -> dict[str, Matrix]:
    """What an update changes of the parameter `name`, from a row on, and what it updates by."""
    tensors = {"state": f"state.{name}", "weight": name}
    operands = {operand: skip_rows(e.matrix(tensor, columns), row) for operand, tensor in tensors.items()}
    return operands | {"hyperparameters": e.matrix("hyperparameters")}


def _part_flags(part: int, updates: bool) -> tuple[str, ...]:
    """Those of a part of a weight matrix, all of which decay. Parts behind the first one have its x."""
    return (
        (("UPDATE", "DECAY") if updates else ())
        + (("SAME_X",) if part else ())
        + (("LATER_PART",) if part and updates else ())
    )


def column_sum(e: Emitter, label: str, dy: Matrix, dw: Matrix, rows: Rows, n: int, *, period: int = 1) -> None:
    """dw (+)= sums of dy over the rows of equal remainder by `period`."""
    e.emit(
        label, "column_sum", {"dy": dy, "dw": dw}, flags=("ACCUMULATE",) if e.accumulate else (),
        rows=rows.count, split=rows.classes, n=n, period=period,
    )  # fmt: skip


def norm(e: Emitter, name: str, x: str, rows: Rows) -> None:
    """Layer normalisation `name` of the tensor `x`."""
    dim = e.model.dim
    mantissa, shift = scale_mantissa(dim**2 * LAYER_NORM_EPS)
    operands = {
        "x": skip_rows(e.matrix(x), rows.first),
        "gamma": e.matrix(f"{name}.weight"),
        "beta": e.matrix(f"{name}.bias"),
        "normalised": e.matrix(f"{name}.normalised"),
        "y": skip_rows(e.matrix(name), rows.first),
    }
    if e.saves:
        operands["saved"] = skip_rows(e.matrix(f"{name}.normalised"), rows.first)
        operands["rstd"] = skip_columns(e.matrix(f"{name}.rstd", rows.count), rows.first, "i32")
    immediates = {"epsilon_mantissa": mantissa, "epsilon_shift": shift}
    flags = ("SAVE",) if e.saves else ()
    e.emit(f"{name} forward", "layernorm", operands, flags=flags, immediates=immediates, rows=rows.count, n=dim)


def norm_backward(e: Emitter, name: str, x: str, dy: str, dx: str, rows: Rows, *, residual: str | None = None) -> None:
    """Gradient of the input `x` of layer normalisation `name`, + `residual`, and of its scale and shift."""
    rstd = e.matrix(f"{name}.rstd", rows.count)
    operands = {
        "dy": e.matrix(dy),
        "normalised": e.matrix(f"{name}.normalised"),
        "rstd": Matrix(rstd.address, rstd.pitch, e.layout.slot(x)),
        "gamma": e.matrix(f"{name}.weight"),
        "dx": e.matrix(dx),
        "dgamma": e.matrix(f"grad.{name}.weight"),
        "dbeta": e.matrix(f"grad.{name}.bias"),
    }
    flags: tuple[str, ...] = ("ACCUMULATE",) if e.accumulate else ()
    if residual is not None:
        operands["residual"] = e.matrix(residual)
        flags += ("RESIDUAL",)
    e.emit(
        f"{name} backward", "layernorm_backward", operands, flags=flags,
        rows=rows.count, split=rows.classes, n=e.model.dim,
    )  # fmt: skip
    e.summed += [f"{name}.weight", f"{name}.bias"]
