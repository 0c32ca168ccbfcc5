"""The optimizer step on the fabric, and the exponents that follow the values."""

from __future__ import annotations

from hls.spec.formats import LANES
from host.compiler.emitter import Emitter
from host.compiler.layers import updated_operands
from host.errors import PeelVitError
from host.layout import Layout
from host.parameters import Parameter, device_parameters
from host.slots import MARGIN

UPDATES_BESIDE = 10
"""Short updates beside one attention: the 8 of a block and some of those that the head and the last block left."""


def average_shift(images: int) -> int:
    """log2 of the images of one optimizer step; their number must be a power of two, so that an average is a shift."""
    if images < 1 or images & (images - 1):
        raise PeelVitError(
            f"one optimizer step averages {images} images, which is not a power of two; "
            "choose micro-batch and accumulation so that their product is one"
        )
    return images.bit_length() - 1


def update_op(layout: Layout) -> str:
    """The op of the layout's optimizer; `PeelVitError` where the hardware configuration is without it."""
    op = layout.use.update
    if op is None:
        raise ValueError("the layout has no optimizer on the fabric")
    if op in layout.config.without:
        raise PeelVitError(f"the hardware configuration {layout.config.name} has no {op}; choose another optimizer")
    return op


def weight_update(e: Emitter, images: int) -> None:
    """Update every parameter that is not yet, from the gradients summed over `images` images."""
    for parameter in device_parameters(e.model):
        if parameter.name not in e.updated:
            _update(e, parameter, average_shift(images))


def update_summed(e: Emitter) -> None:
    """Where the optimizer step follows, update some parameters of `e.summed` now: nothing may read them afterwards."""
    names, e.summed = e.summed[:UPDATES_BESIDE], e.summed[UPDATES_BESIDE:]
    if e.update_shift is None:
        return
    parameters = {parameter.name: parameter for parameter in device_parameters(e.model)}
    for name in names:
        _update(e, parameters[name], e.update_shift)


def _update(e: Emitter, parameter: Parameter, shift: int) -> None:
    name, (rows, columns) = parameter.name, _folded(parameter, e.layout.config.column_tile)
    operands = {"gradient": e.matrix(f"grad.{name}", columns)} | updated_operands(e, name, columns=columns)
    e.emit(
        f"{name} update", update_op(e.layout), operands, flags=("DECAY",) if parameter.decays else (),
        immediates={"average_shift": shift}, rows=rows, n=columns,
    )  # fmt: skip
    e.updated.add(name)


def _folded(parameter: Parameter, width: int) -> tuple[int, int]:
    """Rows and columns, of a vector those of a matrix that lies as it does: the GEMM engine updates a column tile."""
    divisors = (c for c in range(LANES, width + 1, LANES) if parameter.columns % c == 0)
    columns = max(divisors, default=parameter.columns) if parameter.rows == 1 else parameter.columns
    return parameter.rows * parameter.columns // columns, columns


def exponent_update(e: Emitter) -> None:
    """Let the fractions of activations, gradients and weight gradients follow what was seen since the last step."""
    for group, slots in e.layout.slots.updated.items():
        e.emit(
            f"exponents of {group.value}", "exponent_update", {},
            first=slots.first, count=slots.count, bits=slots.bits, margin=MARGIN,
        )  # fmt: skip
