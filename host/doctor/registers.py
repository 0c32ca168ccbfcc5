"""Registers of the processing system, read by physical address: on this board, or on one elsewhere."""

from __future__ import annotations

import mmap
import os
import struct
from typing import Any, Protocol

_PAGE = 4096


class Registers(Protocol):
    """32-bit registers."""

    def read(self, address: int) -> int | None:
        """The register at a physical address; None when it cannot be read."""


class LocalRegisters:
    """Those of this board, through /dev/mem. Only for addresses that every Zynq UltraScale+ answers at."""

    def read(self, address: int) -> int | None:
        """See `Registers`; needs root."""
        page, offset = address & -_PAGE, address & _PAGE - 1
        try:
            descriptor = os.open("/dev/mem", os.O_RDONLY | os.O_SYNC)
        except OSError:
            return None
        try:
            with mmap.mmap(descriptor, _PAGE, mmap.MAP_SHARED, mmap.PROT_READ, offset=page) as memory:
                word: int = struct.unpack_from("<I", memory, offset)[0]
                return word
        except (OSError, ValueError):
            return None
        finally:
            os.close(descriptor)


class RemoteRegisters:
    """Those of a board elsewhere, through its PYNQ.remote server on the gRPC `channel`."""

    def __init__(self, channel: Any) -> None:
        import grpc
        from pynq.remote import mmio_pb2, mmio_pb2_grpc

        self._messages, self._error = mmio_pb2, grpc.RpcError
        self._stub: Any = mmio_pb2_grpc.MmioStub(channel)

    def read(self, address: int) -> int | None:
        """See `Registers`."""
        page, offset = address & -_PAGE, address & _PAGE - 1
        try:
            area = self._stub.get_mmio(self._messages.GetMmioRequest(base_addr=page, length=_PAGE), timeout=10.0)
            request = self._messages.ReadRequest(mmio_id=area.mmio_id, offset=offset, length=4)
            answer = self._stub.read(request, timeout=10.0)
        except self._error:
            return None
        return None if answer.msg else int(answer.data)
