"""Reading CIFAR-10's original batches: pickles of Python 2, of which only plain data and numpy arrays are allowed."""

from __future__ import annotations

import io
import pickle
from typing import Any

_ALLOWED = frozenset(
    {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    }
)


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that can build nothing but Python's plain data and numpy arrays, so no pickle can run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no data needs")
        return super().find_class(module, name)


def load_arrays(data: bytes) -> Any:
    """Unpickle plain data and numpy arrays; strings of Python 2 become bytes. Raises `pickle.UnpicklingError`."""
    return _ArraysOnly(io.BytesIO(data), encoding="bytes").load()
