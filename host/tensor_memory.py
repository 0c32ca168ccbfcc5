"""Reading and writing whole tensors and slot tables in the device's memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls.spec.formats import LANES, STATE, STATE_WORDS, stored_as
from host.device import Device
from host.layout import Layout
from host.memory import Region
from host.slots import RECORD, SlotTable, as_words, from_words

_TYPES: dict[str, type[np.integer[Any]]] = {"i16": np.int16, "u16": np.uint16, "i32": np.int32}


class TensorMemory:
    """The tensors of `layout` on `device`, by name."""

    def __init__(self, device: Device, layout: Layout) -> None:
        self._device, self._layout = device, layout

    def read(self, name: str, rows: int | None = None, columns: int | None = None) -> NDArray[Any]:
        """The tensor as integers [rows, columns]; sizes that are not given are those of the dense case.

        One of `STATE` is int32 [rows, 2, columns]: low halves of master weights, and the optimizer's state.
        """
        tensor = self._layout.tensors[name]
        rows, columns = rows or tensor.rows, columns or tensor.columns
        if tensor.element == STATE:
            return self._read_state(self._layout.addresses[name], rows, columns)
        shape = (rows, _padded(columns))
        return self._device.read(self._layout.addresses[name], shape, _TYPES[tensor.element])[:, :columns]

    def write(self, name: str, values: NDArray[np.integer[Any]]) -> None:
        """Replace a whole tensor by integers of its shape, that of `read`; `ValueError` for another one."""
        tensor = self._layout.tensors[name]
        shape = (tensor.rows, 2, tensor.columns) if tensor.element == STATE else (tensor.rows, tensor.columns)
        if values.shape != shape:
            raise ValueError(f"{name} is {'x'.join(map(str, shape))}, not {'x'.join(map(str, values.shape))}")
        if tensor.element == STATE:
            return self._write_state(self._layout.addresses[name], values)
        element = _TYPES[tensor.element]
        if _padded(tensor.columns) == tensor.columns and values.dtype == element:  # as it lies in memory
            return self._device.write(self._layout.addresses[name], np.ascontiguousarray(values))
        padded = np.zeros((tensor.rows, _padded(tensor.columns)), element)
        padded[:, : tensor.columns] = values
        self._device.write(self._layout.addresses[name], padded)

    def _read_state(self, address: int, rows: int, columns: int) -> NDArray[Any]:
        element, stored = stored_as(STATE, columns)
        grouped = self._device.read(address, (rows, stored), _TYPES[element]).reshape(rows, -1, STATE_WORDS * LANES)
        low, state = grouped[..., :LANES], np.ascontiguousarray(grouped[..., LANES:]).view(np.int32)
        return np.stack((low, state), 1).reshape(rows, 2, -1)[..., :columns]

    def _write_state(self, address: int, values: NDArray[np.integer[Any]]) -> None:
        rows, _, columns = values.shape
        element, stored = stored_as(STATE, columns)
        padded = np.zeros((rows, 2, _padded(columns)), np.int32)
        padded[..., :columns] = values
        low, state = padded.reshape(rows, 2, -1, LANES).swapaxes(0, 1)
        grouped = np.concatenate((low.astype(_TYPES[element]), state.view(_TYPES[element])), 2)
        self._device.write(address, grouped.reshape(rows, stored))

    def read_slots(self, region: Region) -> SlotTable:
        """The slot table in `region`."""
        shape = (self._layout.slots.count, RECORD.itemsize // 4)
        return from_words(self._device.read(region.address, shape, np.int32))

    def write_slots(self, region: Region, table: SlotTable) -> None:
        """Replace the slot table in `region`."""
        self._device.write(region.address, as_words(table))


def _padded(columns: int) -> int:
    return -(-columns // LANES) * LANES
