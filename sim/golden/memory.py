"""The memory window: one int16 tensor, and matrices as views into it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, cat, stack
from torch.nn.functional import pad

from hls.spec.formats import ELEMENT_BYTES, LANES, STATE, STATE_WORDS, WORD_BYTES, stored_as
from hls.spec.instruction import Matrix

_VIEWS = {"i16": torch.int16, "u16": torch.uint16, "i32": torch.int32}


class Memory:
    """A zeroed window of `words` 16-byte words on a torch device."""

    def __init__(self, words: int, device: str = "cpu") -> None:
        self.words = words
        self.elements = torch.zeros(words * LANES, dtype=torch.int16, device=device)
        self._typed = {element: self.elements.view(view) for element, view in _VIEWS.items()}

    def matrix(self, place: Matrix, element: str, rows: int, columns: int) -> Tensor:
        """The `rows` x `columns` matrix at `place`: a view without copy, of int16, uint16 or int32.

        One of `STATE` is a copy, int32 [rows, 2, columns]: low halves of master weights, and states.
        """
        if element == STATE:
            return self._state(place, rows, columns)
        lanes = WORD_BYTES // ELEMENT_BYTES[element]
        return self._typed[element].as_strided((rows, columns), (place.pitch * lanes, 1), place.address * lanes)

    def write(self, place: Matrix, element: str, values: Tensor, used: Sequence[int] | None = None) -> None:
        """Write a matrix; each row is padded with zeros to a multiple of eight elements.

        One of `STATE` is [rows, 2, columns]. With `used`, row r has only `used[r]` columns, and what lies behind them
        and their padding stays as it is.
        """
        if element == STATE:
            return self._write_state(place, values)
        rows, columns = values.shape
        padded = -(-columns // LANES) * LANES
        target = self.matrix(place, element, rows, padded)
        if used is not None:
            ends = torch.tensor(used, device=values.device)[:, None]
            places = torch.arange(padded, device=values.device)
            values = pad(values, (0, padded - columns)).masked_fill_(places >= ends, 0)
            torch.where(places < (ends + LANES - 1) // LANES * LANES, values, target, out=target)
            return
        target[:, :columns] = values
        target[:, columns:] = 0

    def _write_state(self, place: Matrix, values: Tensor) -> None:
        rows, _, columns = values.shape
        low, state = pad(values, (0, -columns % LANES)).reshape(rows, 2, -1, LANES).unbind(1)
        grouped = cat((low.short(), state.contiguous().view(torch.int16)), 2)
        self.matrix(place, *_stored(rows, columns)).copy_(grouped.reshape(rows, -1))

    def _state(self, place: Matrix, rows: int, columns: int) -> Tensor:
        grouped = self.matrix(place, *_stored(rows, columns)).reshape(rows, -1, STATE_WORDS * LANES)
        low, state = grouped[..., :LANES].int(), grouped[..., LANES:].contiguous().view(torch.int32)
        return stack((low, state), 1).reshape(rows, 2, -1)[..., :columns]

    def bytes_at(self, address: int, words: int) -> bytes:
        """A copy of `words` words from word `address`."""
        return self.elements[address * LANES : (address + words) * LANES].cpu().numpy().tobytes()

    def put_bytes(self, address: int, data: bytes) -> None:
        """Copy whole words to word `address`."""
        values = torch.frombuffer(bytearray(data), dtype=torch.int16) if data else self.elements[:0]
        self.elements[address * LANES : address * LANES + len(values)] = values.to(self.elements.device)


def _stored(rows: int, columns: int) -> tuple[str, int, int]:
    """Element, rows and columns of a matrix of `STATE` as it lies in memory."""
    element, stored = stored_as(STATE, columns)
    return element, rows, stored
