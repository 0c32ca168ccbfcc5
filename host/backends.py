"""Backends by name: `x` is the class `XDevice` in host/devices/x.py or sim/x/device.py, imported when asked for.

The board has no sim/ folder, and a workstation no pynq package: nothing here imports either by itself.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hls.spec.config import ConfigError, HardwareConfig, load
from host.device import Device
from host.errors import PeelVitError

if TYPE_CHECKING:
    from host.options import Options

_ROOT = Path(__file__).resolve().parents[1]


def backend_names() -> tuple[str, ...]:
    """All backends: those whose files are here."""
    files = (_ROOT / "host/devices").glob("[a-z]*.py")
    folders = (_ROOT / "sim").glob("*/device.py")
    return tuple(sorted({path.stem for path in files} | {path.parent.name for path in folders}))


def load_config(name: str) -> HardwareConfig:
    """The hardware configuration `name`; `PeelVitError` when there is none or it cannot be built."""
    try:
        return load(name)
    except ConfigError as error:
        raise PeelVitError(str(error)) from None


def open_device(options: Options) -> Device:
    """The device of `options.backend`, without memory; `PeelVitError` when it is not there."""
    config = load_config(options.config)
    device_class = _device_class(options.backend)
    if options.backend == "csim":
        build_csim(config, options.variant)
        return device_class(config, options.variant)
    if options.backend == "pynq":
        return device_class(
            config,
            bitfile=options.bitfile,
            board=options.board,
            platform=options.platform,
            clk_mhz=options.clk_mhz,
            timeout=options.timeout,
            interrupts=options.interrupts,
        )
    return device_class(config)


def _device_class(name: str) -> Any:
    for module in (f"host.devices.{name}", f"sim.{name}.device"):
        if _exists(module):
            try:
                return getattr(importlib.import_module(module), f"{name.capitalize()}Device")
            except ModuleNotFoundError as error:
                raise PeelVitError(
                    f"the {name} backend needs the Python package {error.name}; install it, or choose another --backend"
                ) from None
    raise PeelVitError(f"there is no backend {name}; choose {', '.join(backend_names())}")


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def build_csim(config: HardwareConfig, variant: str) -> None:
    """Bring the C simulation up to date where its sources and generator are; elsewhere what was built is used."""
    try:
        builder = importlib.import_module("sim.csim.build")
    except ModuleNotFoundError:
        return
    builder.build(config, variant)
