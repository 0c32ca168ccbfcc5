"""Reading the pickles of CIFAR-10 and CIFAR-100, of which only plain data and numpy arrays are allowed."""

from __future__ import annotations

import io
import pickle
from typing import Any

_ALLOWED = frozenset(
    {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy.core.numeric", "_frombuffer"),
        ("numpy._core.numeric", "_frombuffer"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    }
)


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that can build nothing but Python's plain data and numpy arrays, so no pickle can run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return _latin1_bytes
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no data needs")
        return super().find_class(module, name)


def _latin1_bytes(text: str, encoding: str) -> bytes:
    """What a pickle that Python 3 made for Python 2 (protocols 0 to 2) asks of `_codecs.encode`: bytes of a text."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for text in {encoding}, which no data needs")
    return text.encode("latin1")


def load_arrays(data: bytes) -> Any:
    """Unpickle plain data and numpy arrays; strings of Python 2 become bytes. Raises `pickle.UnpicklingError`."""
    return _ArraysOnly(io.BytesIO(data), encoding="bytes").load()
