"""PYNQ's remote protocol (services RemoteDevice, Mmio, RemoteBuffer, Gpio of pynq 4.0) over a virtual board.

What pynq's clients ask for beyond the protocol's words: errors of a buffer or a register come as `msg`, and a file that
is not there as NOT_FOUND. `start` and `end` of a buffer's transfers are byte positions, `end` 0 being its end.
"""

from __future__ import annotations

import itertools
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import grpc
import numpy as np
from pynq.remote import (
    buffer_pb2,
    buffer_pb2_grpc,
    gpio_pb2_grpc,
    mmio_pb2,
    mmio_pb2_grpc,
    remote_device_pb2,
    remote_device_pb2_grpc,
)

from sim.board.board import Board, BusError
from sim.board.memory import OutOfMemoryError

CHUNK = 2 << 20
"""Bytes of a message of a stream."""

_SLOW_SECONDS, _SLOW_BYTES_PER_SECOND = 0.002, 20e6
_SILENT_SECONDS = 5.0


class Link:
    """What a call goes through before it is answered: the connection and its faults."""

    def __init__(self, board: Board) -> None:
        self._slow = board.faults.lasts("slow-link")
        self._silent_until = 0.0
        self._lock = threading.Lock()
        self.calls = 0
        """Calls answered, for a profile."""

    def silence(self) -> None:
        """Answer nothing for a while."""
        self._silent_until = time.monotonic() + _SILENT_SECONDS

    def carry(self, size: int = 0) -> None:
        """Take the time that a call with `size` bytes takes."""
        with self._lock:
            self.calls += 1
        if self._slow:
            time.sleep(_SLOW_SECONDS + size / _SLOW_BYTES_PER_SECOND)
        silent = self._silent_until - time.monotonic()
        if silent > 0:
            time.sleep(silent)


class DeviceService(remote_device_pb2_grpc.RemoteDeviceServicer):  # type: ignore[misc]
    """Files and the FPGA manager."""

    def __init__(self, board: Board, link: Link) -> None:
        self._board, self._link = board, link

    def existsfile(self, request: Any, context: Any) -> Any:
        """Whether a file is there."""
        self._link.carry()
        return remote_device_pb2.ExistsFileResponse(exists=self._board.read_file(request.file_path) is not None)

    def readfile(self, request: Any, context: Any) -> Iterator[Any]:
        """A file's content."""
        content = self._board.read_file(request.file_path)
        self._link.carry(len(content or b""))
        if content is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no file {request.file_path}")
        for start in range(0, len(content or b"") or 1, CHUNK):
            yield remote_device_pb2.ReadFileResponse(data=(content or b"")[start : start + CHUNK])

    def writefile(self, requests: Iterable[Any], context: Any) -> Any:
        """Replace a file."""
        path, content = "", b""
        for request in requests:
            path, content = request.file_path, content + request.data
        self._link.carry(len(content))
        self._board.write_file(path, content)
        return remote_device_pb2.WriteFileResponse()

    def set_bitstream_attrs(self, request: Any, context: Any) -> Any:
        """Accepted: the name comes again when the FPGA manager is told."""
        self._link.carry()
        return remote_device_pb2.SetBitstreamAttrsResponse(status=True)


class MmioService(mmio_pb2_grpc.MmioServicer):  # type: ignore[misc]
    """Registers by physical address."""

    def __init__(self, board: Board, link: Link) -> None:
        self._board, self._link = board, link
        self._maps: dict[str, tuple[int, int]] = {}
        self._names = map(str, itertools.count(1))

    def get_mmio(self, request: Any, context: Any) -> Any:
        """A name for a range of addresses."""
        self._link.carry()
        name = next(self._names)
        self._maps[name] = (request.base_addr, request.length)
        return mmio_pb2.GetMmioResponse(status=True, mmio_id=name)

    def read(self, request: Any, context: Any) -> Any:
        """One register of 4 bytes, or two in the word order asked for."""
        self._link.carry()
        try:
            base = self._base(request.mmio_id, request.offset, request.length or 4)
            words = [self._board.read_word(base + at) for at in range(0, max(4, request.length), 4)]
        except BusError as error:
            return mmio_pb2.ReadResponse(status=False, msg=str(error))
        if request.word_order == "big":
            words.reverse()
        value = sum(word << 32 * i for i, word in enumerate(words))
        if 0 < request.length < 4:
            value &= (1 << 8 * request.length) - 1
        return mmio_pb2.ReadResponse(status=True, data=value)

    def write(self, request: Any, context: Any) -> Any:
        """Registers from an offset on, 4 bytes each."""
        self._link.carry(len(request.data))
        try:
            base = self._base(request.mmio_id, request.offset, len(request.data))
            for index, (word,) in enumerate(struct.iter_unpack("<I", request.data)):
                self._board.write_word(base + 4 * index, word)
        except BusError as error:
            return mmio_pb2.WriteResponse(status=False, msg=str(error))
        return mmio_pb2.WriteResponse(status=True)

    def _base(self, name: str, offset: int, size: int) -> int:
        if name not in self._maps:
            raise BusError(f"there is no range of registers {name}")
        base, length = self._maps[name]
        if offset + size > length:
            raise BusError(f"offset {offset:#x} is outside the range of {length} bytes")
        return base + offset


class BufferService(buffer_pb2_grpc.RemoteBufferServicer):  # type: ignore[misc]
    """Contiguous memory; every transfer goes through the processor's cache."""

    def __init__(self, board: Board, link: Link) -> None:
        self._memory, self._link = board.memory, link
        self._ranges = not board.faults.lasts("no-ranges")

    def allocate(self, request: Any, context: Any) -> Any:
        """A new buffer, cacheable."""
        self._link.carry()
        try:
            return buffer_pb2.AllocateResponse(buffer_id=self._memory.allocate(request.size))
        except OutOfMemoryError as error:
            return buffer_pb2.AllocateResponse(msg=str(error))

    def write(self, requests: Iterable[Any], context: Any) -> Any:
        """Write as the processor does."""
        position = 0
        for request in requests:
            self._link.carry(len(request.data))
            try:
                buffer = self._memory.buffer(request.buffer_id)
            except KeyError:
                return buffer_pb2.BufferWriteResponse(msg=f"there is no buffer {request.buffer_id}")
            if self._ranges and request.end:
                position = request.start
            if position + len(request.data) > buffer.size:
                return buffer_pb2.BufferWriteResponse(msg=f"a write leaves buffer {request.buffer_id}")
            if len(request.data):
                buffer.memory.write(position, np.frombuffer(request.data, np.uint8))
            position += len(request.data)
        return buffer_pb2.BufferWriteResponse()

    def read(self, request: Any, context: Any) -> Iterator[Any]:
        """Read as the processor does."""
        buffer = self._memory.buffer(request.buffer_id)
        ranged = self._ranges and request.end
        start, stop = (request.start, request.end) if ranged else (0, buffer.size)
        for position in range(start, stop, CHUNK):
            part = buffer.memory.read(position, min(position + CHUNK, stop))
            self._link.carry(part.size)
            yield buffer_pb2.BufferReadResponse(data=part.tobytes())

    def flush(self, request: Any, context: Any) -> Any:
        """Write the cache's lines back."""
        self._link.carry()
        self._memory.buffer(request.buffer_id).memory.flush()
        return buffer_pb2.FlushResponse()

    def invalidate(self, request: Any, context: Any) -> Any:
        """Forget the cache's lines."""
        self._link.carry()
        self._memory.buffer(request.buffer_id).memory.invalidate()
        return buffer_pb2.InvalidateResponse()

    def freebuffer(self, request: Any, context: Any) -> Any:
        """Give a buffer back."""
        self._link.carry()
        try:
            self._memory.release(request.buffer_id)
        except KeyError:
            return buffer_pb2.FreeBufferResponse(msg=f"there is no buffer {request.buffer_id}")
        return buffer_pb2.FreeBufferResponse()

    def physical_address(self, request: Any, context: Any) -> Any:
        """Where the accelerator finds a buffer."""
        self._link.carry()
        return buffer_pb2.AddressResponse(address=self._memory.buffer(request.buffer_id).address)

    def virtual_address(self, request: Any, context: Any) -> Any:
        """Where the server finds it; of no use to a client."""
        return self.physical_address(request, context)

    def cacheable(self, request: Any, context: Any) -> Any:
        """Always: as with pynq's own server."""
        return buffer_pb2.CacheableResponse(cacheable=True)


class GpioService(gpio_pb2_grpc.GpioServicer):  # type: ignore[misc]
    """No pins: every call is refused as not implemented."""
