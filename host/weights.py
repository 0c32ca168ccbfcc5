"""Parameters on the device: from timm's float arrays and back, and exactly as integers for checkpoints."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hls.spec.slots import EMPTY, RESCALE_PEAK
from host.layout import Layout
from host.parameters import (
    FloatArray,
    Int32Array,
    check_state,
    dequantise_master,
    device_parameters,
    joined_master,
    low_half,
    master_peak,
    quantise_master,
    quantise_weight,
    to_device,
    to_timm,
    weight_fraction,
)
from host.slots import SlotTable
from host.tensor_memory import TensorMemory


class Weights:
    """The parameters of `layout` in the device's memory; their fractions are entries of the slot table of each call."""

    def __init__(self, memory: TensorMemory, layout: Layout) -> None:
        self._memory, self._layout = memory, layout
        self.parameters = device_parameters(layout.model)

    def load_float(self, state: Mapping[str, FloatArray], table: SlotTable) -> None:
        """Quantise timm's arrays, write them, and set their fractions and peaks in `table`; optimizers start at 0."""
        check_state(self._layout.model, state)
        for parameter in self.parameters:
            matrix = to_device(self._layout.model, parameter, state)
            fraction = weight_fraction(matrix)
            self._store(parameter.name, quantise_master(matrix, fraction), fraction, table)

    def _store(self, name: str, master: Int32Array, fraction: int, table: SlotTable) -> None:
        """Write a parameter anew; the optimizer on the fabric starts at 0."""
        if self._layout.use.training:
            self._write_state(name, master, np.zeros_like(master))
        self._memory.write(name, quantise_weight(master))
        slot = self._layout.slot(name)
        table["f"][slot] = table["f_previous"][slot] = fraction
        table["peak"][slot] = master_peak(master, EMPTY)

    def matrix(self, name: str, table: SlotTable) -> NDArray[np.float64]:
        """Exact values of a parameter's master weights; of its 16-bit weights where there are no others."""
        fraction = int(table["f"][self._layout.slot(name)])
        if self._layout.use.training:
            return dequantise_master(self._read_state(name)["master"], fraction)
        return np.ldexp(self._memory.read(name).astype(np.float64), -fraction)

    def store_matrix(self, name: str, matrix: FloatArray, table: SlotTable) -> None:
        """Write new values at the fraction that the parameter has, or at a coarser one where they would outgrow it."""
        fraction = int(table["f"][self._layout.slot(name)])
        master = quantise_master(matrix, fraction)
        while master_peak(master, EMPTY) >= RESCALE_PEAK:
            fraction -= 1
            master = quantise_master(matrix, fraction)
        self._store(name, master, fraction, table)

    def export_float(self, table: SlotTable) -> dict[str, NDArray[np.float32]]:
        """timm's float32 arrays."""
        return to_timm(self._layout.model, {p.name: self.matrix(p.name, table) for p in self.parameters})

    def state(self) -> dict[str, Int32Array]:
        """Master weights and the state of the optimizer on the fabric as they are."""
        found = {p.name: self._read_state(p.name) for p in self.parameters}
        return {f"{kind}.{name}": arrays[kind] for kind in self._kinds() for name, arrays in found.items()}

    def load_state(self, state: Mapping[str, Int32Array]) -> None:
        """Put back what `state` gave."""
        for parameter in self.parameters:
            master, *others = (state[f"{kind}.{parameter.name}"] for kind in self._kinds())
            self._write_state(parameter.name, master, *others)
            self._memory.write(parameter.name, quantise_weight(master))

    def state_shapes(self) -> dict[str, tuple[int, int]]:
        """Names and shapes of `state`."""
        return {f"{kind}.{p.name}": (p.rows, p.columns) for kind in self._kinds() for p in self.parameters}

    def _kinds(self) -> tuple[str, ...]:
        """What there is of a parameter from step to step, as checkpoints call it."""
        state = self._layout.use.state
        return ("master",) if state is None else ("master", state)

    def _read_state(self, name: str) -> dict[str, Int32Array]:
        """Arrays [rows, columns] of a parameter by kind."""
        if self._layout.use.state is None:
            return {"master": self._memory.read(f"master.{name}")}
        low, state = self._memory.read(f"state.{name}").swapaxes(0, 1)
        return dict(zip(self._kinds(), (joined_master(self._memory.read(name), low), state), strict=True))

    def _write_state(self, name: str, master: Int32Array, state: Int32Array | None = None) -> None:
        if state is None or self._layout.use.state is None:
            self._memory.write(f"master.{name}", master)
        else:
            self._memory.write(f"state.{name}", np.stack((low_half(master), state), 1))
