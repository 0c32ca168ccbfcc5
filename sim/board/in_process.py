"""A pynq device whose board lies in this process: the same protocol, without a socket, for profiles and quick tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from pynq.pl_server.device import Device
from pynq.pl_server.remote_device import RemoteDevice

from sim.board.board import Board
from sim.board.services import BufferService, DeviceService, Link, MmioService


class _Refused(grpc.RpcError):  # type: ignore[misc]
    """What a service aborted with, as a client sees it."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details


class _Context:
    def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise _Refused(code, details)


class _Stub:
    """Calls a service's methods as a generated stub would."""

    def __init__(self, service: Any) -> None:
        self._service = service

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._service, name)
        return lambda request, timeout=None: method(request, _Context())


@dataclass(frozen=True)
class _WriteRequest:
    """A `BufferWriteRequest` that is not serialised."""

    buffer_id: str
    data: NDArray[np.uint8]
    start: int
    end: int


class _BufferStub(_Stub):
    """Buffers without copies for a connection that is not there."""

    write_request = _WriteRequest


class InProcessDevice(RemoteDevice):  # type: ignore[misc]
    """pynq's remote device, talking to `board` directly."""

    def __init__(self, board: Board) -> None:
        Device.__init__(self, "in-process")
        self.board, self.link = board, Link(board)
        self.ip_addr, self.port = "this process", 0
        self._stub = {
            "device": _Stub(DeviceService(board, self.link)),
            "mmio": _Stub(MmioService(board, self.link)),
            "buffer": _BufferStub(BufferService(board, self.link)),
        }
        self.arch, self.name = self.get_arch(), self.get_board_name()
        self.capabilities = {"REMOTE": True}
