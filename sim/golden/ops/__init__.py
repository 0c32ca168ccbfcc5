"""One pure function an op of the table, in the module of its name.

A function takes what it reads by the op table's names: operands (integer tensors; None when absent), dimensions and
immediates, with `f` (fractions by operand), `flags` and `slots`; it returns its results by operand name. The functions
of the control unit take the whole slot table and return the new one. An op without a function fails here, at import.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from hls.spec.ops import OPS

FUNCTIONS: dict[str, Callable[..., Any]] = {
    op.name: getattr(import_module(f"{__name__}.{op.name}"), op.name) for op in OPS
}
