"""The optimizer step on the fabric, and the exponents that follow the values."""

from __future__ import annotations

from host.compiler.emitter import Emitter
from host.errors import PeelVitError
from host.parameters import device_parameters
from host.slots import MARGIN


def average_shift(images: int) -> int:
    """log2 of the images of one optimizer step; their number must be a power of two, so that an average is a shift."""
    if images < 1 or images & (images - 1):
        raise PeelVitError(
            f"one optimizer step averages {images} images, which is not a power of two; "
            "choose micro-batch and accumulation so that their product is one"
        )
    return images.bit_length() - 1


def weight_update(e: Emitter, images: int) -> None:
    """Update every parameter by the layout's optimizer from the gradients summed over `images` images."""
    op, state, shift = e.layout.use.update, e.layout.use.state, average_shift(images)
    if op is None or state is None:
        raise ValueError("the layout has no optimizer on the fabric")
    if op in e.layout.config.without:
        raise PeelVitError(f"the hardware configuration {e.layout.config.name} has no {op}; choose another optimizer")
    for parameter in device_parameters(e.model):
        name = parameter.name
        operands = {
            "master": e.matrix(f"master.{name}"),
            state: e.matrix(f"{state}.{name}"),
            "gradient": e.matrix(f"grad.{name}"),
            "weight": e.matrix(name),
            "hyperparameters": e.matrix("hyperparameters"),
        }
        e.emit(
            f"{name} update", op, operands, flags=("DECAY",) if parameter.decays else (),
            immediates={"average_shift": shift}, rows=parameter.rows, n=parameter.columns,
        )  # fmt: skip


def exponent_update(e: Emitter) -> None:
    """Let the fractions of activations, gradients and weight gradients follow what was seen since the last step."""
    for group, slots in e.layout.slots.updated.items():
        e.emit(
            f"exponents of {group.value}", "exponent_update", {},
            first=slots.first, count=slots.count, bits=slots.bits, margin=MARGIN,
        )  # fmt: skip
