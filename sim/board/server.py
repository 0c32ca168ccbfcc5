"""The virtual board on a port: a gRPC server of PYNQ's remote protocol."""

from __future__ import annotations

import threading
import time
from concurrent import futures

import grpc
from pynq.remote import buffer_pb2_grpc, gpio_pb2_grpc, mmio_pb2_grpc, remote_device_pb2_grpc

from host.errors import PeelVitError
from sim.board.board import Board
from sim.board.services import BufferService, DeviceService, GpioService, Link, MmioService

_THREADS = 8
_AWAY_SECONDS = 0.5


class BoardServer:
    """Serves `board` on a loopback port (0: any free one) until `close`."""

    def __init__(self, board: Board, port: int = 0, host: str = "127.0.0.1") -> None:
        self.board, self.host = board, host
        self.link = Link(board)
        board.on_fault = self._fault
        self._services = (
            (remote_device_pb2_grpc.add_RemoteDeviceServicer_to_server, DeviceService(board, self.link)),
            (mmio_pb2_grpc.add_MmioServicer_to_server, MmioService(board, self.link)),
            (buffer_pb2_grpc.add_RemoteBufferServicer_to_server, BufferService(board, self.link)),
            (gpio_pb2_grpc.add_GpioServicer_to_server, GpioService()),
        )
        self._lock = threading.Lock()
        self._closed = False
        self._server, self.port = self._serve(port)

    @property
    def address(self) -> str:
        """What `--board` takes."""
        return f"{self.host}:{self.port}"

    def wait(self) -> None:
        """Serve until `close` is called or Ctrl-C."""
        while not self._closed:
            time.sleep(0.2)

    def close(self) -> None:
        """Stop serving."""
        with self._lock:
            self._closed = True
            self._server.stop(0).wait()

    def _serve(self, port: int) -> tuple[grpc.Server, int]:
        # Without SO_REUSEPORT a second board on a port is refused instead of sharing its calls.
        options = [("grpc.so_reuseport", 0)]
        server = grpc.server(futures.ThreadPoolExecutor(_THREADS, "board"), options=options)
        for add, service in self._services:
            add(service, server)
        try:
            if not 0 <= port < 1 << 16:  # gRPC would cut it
                raise RuntimeError
            port = server.add_insecure_port(f"{self.host}:{port}")
        except RuntimeError:
            raise PeelVitError(
                f"port {port} cannot be opened, another program may have it; choose another with --port"
            ) from None
        server.start()
        return server, port

    def _fault(self, kind: str) -> None:
        if kind == "no-answer":
            self.link.silence()
        else:
            threading.Thread(target=self._go_away, daemon=True, name="connection loss").start()

    def _go_away(self) -> None:
        with self._lock:
            self._server.stop(0).wait()
            time.sleep(_AWAY_SECONDS)
            if not self._closed:
                self._server, _ = self._serve(self.port)
