"""The virtual board's bitstream: a `.bit` file in the vendor's format that names a configuration instead of wiring it.

No real FPGA takes it: it has no synchronisation word. Its design name says what it is.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict
from pathlib import Path

from hls.render import BUILD
from hls.spec.config import HardwareConfig
from sim.board.hwh import render_hwh

DESIGN = "peelvit_virtual"
_MAGIC = b"PEELVIT-VIRTUAL\n"
_PREAMBLE = bytes.fromhex("00090ff00ff00ff00ff0000001")


def default_bitfile(config: HardwareConfig) -> Path:
    """Where the virtual bitstream of a configuration lies; its `.hwh` lies beside it."""
    return BUILD / config.name / "board" / "peelvit.bit"


def write_bitstream(config: HardwareConfig, path: Path | None = None) -> Path:
    """Write `.bit` and `.hwh` of `config`; unchanged files keep their time stamps."""
    path = path or default_bitfile(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    for target, content in ((path, bit_file(config)), (path.with_suffix(".hwh"), render_hwh(config).encode())):
        if not target.is_file() or target.read_bytes() != content:
            target.write_bytes(content)
    return path


def bit_file(config: HardwareConfig) -> bytes:
    """The `.bit` file: header fields a to d, then the payload."""
    payload = _MAGIC + json.dumps(asdict(config) | {"hash": f"{config.hash:016x}"}).encode()
    payload += b"\n" * (-len(payload) % 4)
    text = (f"{DESIGN};UserID=0XFFFFFFFF;Version=2021.1", config.part, "1970/01/01", "00:00:00")
    fields = b"".join(_field(key, value) for key, value in zip(b"abcd", text, strict=True))
    return _PREAMBLE + fields + b"e" + struct.pack(">I", len(payload)) + payload


def _field(key: int, value: str) -> bytes:
    data = value.encode() + b"\0"
    return bytes([key]) + struct.pack(">H", len(data)) + data


def read_binary(data: bytes) -> HardwareConfig | None:
    """The configuration in what the FPGA manager is given (words in the other byte order); None for anything else."""
    if len(data) % 4:
        return None
    payload = b"".join(data[i : i + 4][::-1] for i in range(0, len(data), 4))
    if not payload.startswith(_MAGIC):
        return None
    try:
        content = json.loads(payload[len(_MAGIC) :])
        stated = content.pop("hash")
        config = HardwareConfig(**content | {"without": tuple(content["without"])})
    except (ValueError, TypeError, KeyError):  # damaged
        return None
    return config if f"{config.hash:016x}" == stated else None
