"""The device's memory window in contiguous memory, kept coherent by hand.

The accelerator's ports do not see the processor's cache. So before a run everything written since the last one is
flushed, and after it everything read, or written in part, is invalidated first: exactly that and nothing else.

One buffer holds the window, because the accelerator has one window and its bounds are what protects the rest of the
memory. pynq's own `flush` and `invalidate` know whole buffers only, whatever slice they are called on, so what they
would do to one buffer a tensor group is done here by ranges: pyxrt's and the remote protocol's calls take them. Where
they are ignored the whole window is one range, which is slow and right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from host.board.link import is_remote
from host.board.ranges import Range, Ranges

LINE = 64
"""Bytes of a cache line of the processor; no range begins or ends inside one."""

_MESSAGE = 2 << 20
_PROBE = 8192

Bytes = NDArray[np.uint8]


class Sync(Protocol):
    """Moves ranges (first byte, byte behind the last) between the host's array and DDR memory."""

    granule: int
    """What ranges are multiples of."""

    def to_device(self, ranges: Sequence[Range]) -> None:
        """Let the accelerator see what the host wrote."""

    def from_device(self, ranges: Sequence[Range]) -> None:
        """Let the host see what the accelerator wrote."""

    def expire(self) -> None:
        """The accelerator has run."""


class Window:
    """`memory` is the host's view. Everything in it counts as written until the first `publish`."""

    def __init__(self, memory: Bytes, sync: Sync) -> None:
        self._memory, self._sync = memory, sync
        self._granule = sync.granule
        self._fresh, self._dirty = Ranges(), Ranges()
        for known in (self._fresh, self._dirty):
            known.add(0, memory.size)
        memory[:] = 0

    @property
    def size(self) -> int:
        """Bytes of the window."""
        return self._memory.size

    @property
    def takes_ranges(self) -> bool:
        """Whether no more than the cache lines that were written goes out."""
        return self._granule == LINE

    def write(self, start: int, data: Bytes) -> None:
        """Replace bytes. What lies beside them in their first and last granule must be known, as it goes out too."""
        stop = start + data.size
        if stop == start:
            return
        for edge in {start, stop} - {0, self.size}:
            if edge % self._granule:
                self._refresh(*self._granules(edge, edge + 1))
        self._memory[start:stop] = data
        touched = self._granules(start, stop)
        self._fresh.add(*touched)
        self._dirty.add(*touched)

    def read(self, start: int, stop: int) -> Bytes:
        """A copy of bytes."""
        self._refresh(*self._granules(start, stop))
        return self._memory[start:stop].copy()

    def publish(self) -> None:
        """Before a run: flush what was written."""
        ranges = list(self._dirty)
        if ranges:
            self._sync.to_device(ranges)
        self._dirty.clear()

    def expire(self) -> None:
        """After a run: nothing that the host holds is known to be what is in memory."""
        self._fresh.clear()
        self._sync.expire()

    def _refresh(self, start: int, stop: int) -> None:
        ranges = self._fresh.missing(start, stop)
        if ranges:
            self._sync.from_device(ranges)
            self._fresh.add(start, stop)

    def _granules(self, start: int, stop: int) -> Range:
        """The whole granules, at most to the window's end, in which the bytes lie."""
        return start // self._granule * self._granule, min(-(-stop // self._granule) * self._granule, self.size)


class WholeSync:
    """pynq's own calls: the whole buffer."""

    def __init__(self, buffer: Any) -> None:
        self._buffer, self.granule = buffer, int(buffer.nbytes)

    def to_device(self, ranges: Sequence[Range]) -> None:
        """See `Sync`."""
        self._buffer.flush()

    def from_device(self, ranges: Sequence[Range]) -> None:
        """See `Sync`."""
        self._buffer.invalidate()

    def expire(self) -> None:
        """See `Sync`."""


class XrtSync:
    """Ranges of a local buffer, by XRT's buffer object behind it."""

    granule = LINE

    def __init__(self, buffer: Any, directions: Any) -> None:
        self._object, self._directions = buffer.bo, directions

    def to_device(self, ranges: Sequence[Range]) -> None:
        """See `Sync`."""
        for start, stop in ranges:
            self._object.sync(self._directions.XCL_BO_SYNC_BO_TO_DEVICE, stop - start, start)

    def from_device(self, ranges: Sequence[Range]) -> None:
        """See `Sync`."""
        for start, stop in ranges:
            self._object.sync(self._directions.XCL_BO_SYNC_BO_FROM_DEVICE, stop - start, start)

    def expire(self) -> None:
        """See `Sync`."""


class RemoteSync:
    """Ranges of a buffer elsewhere, by the fields `start` and `end` of the protocol's messages.

    The server's processor has the cache, of which nothing but the whole can be invalidated: once after each run.
    """

    granule = LINE

    def __init__(self, buffer: Any) -> None:
        from pynq.remote import buffer_pb2

        self._buffer, self._messages = buffer, buffer_pb2
        # A stub in this process may take messages that carry the array itself, where a connection wants bytes.
        self._message_of: Any = getattr(buffer.stub, "write_request", self._serialised)
        self._bytes: Bytes = buffer.view(np.ndarray)
        self._expired = True

    def to_device(self, ranges: Sequence[Range]) -> None:
        """See `Sync`."""
        stub, name = self._buffer.stub, self._buffer.buffer_id
        _checked(stub.write(self._requests(ranges)))
        _checked(stub.flush(self._messages.FlushRequest(buffer_id=name)))

    def from_device(self, ranges: Sequence[Range]) -> None:
        """See `Sync`."""
        stub, name = self._buffer.stub, self._buffer.buffer_id
        if self._expired:
            _checked(stub.invalidate(self._messages.InvalidateRequest(buffer_id=name)))
            self._expired = False
        for start, stop in ranges:
            answers = stub.read(self._messages.BufferReadRequest(buffer_id=name, start=start, end=stop))
            data = np.frombuffer(b"".join(answer.data for answer in answers), np.uint8)
            if data.size != stop - start:
                raise RuntimeError(f"{data.size} bytes came where {stop - start} were asked for")
            self._bytes[start:stop] = data

    def expire(self) -> None:
        """See `Sync`."""
        self._expired = True

    def _requests(self, ranges: Iterable[Range]) -> Iterator[Any]:
        for start, stop in ranges:
            for first in range(start, stop, _MESSAGE):
                last = min(first + _MESSAGE, stop)
                yield self._message_of(self._buffer.buffer_id, self._bytes[first:last], first, last)

    def _serialised(self, name: str, data: Bytes, start: int, end: int) -> Any:
        return self._messages.BufferWriteRequest(buffer_id=name, data=data.tobytes(), start=start, end=end)


def _checked(answer: Any) -> None:
    """The protocol's errors are words in an answer."""
    if answer.msg:
        raise RuntimeError(answer.msg)


def sync_for(device: Any, buffer: Any) -> Sync:
    """How to keep a buffer of `device` coherent: by ranges where that is possible."""
    if is_remote(device):
        return RemoteSync(buffer) if _server_takes_ranges(device) else WholeSync(buffer)
    try:
        import pyxrt
    except ModuleNotFoundError:  # pynq 3.0 and before
        return WholeSync(buffer)
    return XrtSync(buffer, pyxrt.xclBOSyncDirection)


def _server_takes_ranges(device: Any) -> bool:
    """Whether the server of a board elsewhere honours `start` and `end`; found out on a small buffer of its own."""
    buffer = device.allocate((_PROBE,), np.uint8)
    try:
        window = buffer.view(np.ndarray)
        window[:] = 0
        buffer.flush()
        sync = RemoteSync(buffer)
        part = (_PROBE // 2, _PROBE // 2 + LINE)
        window[slice(*part)] = 1
        sync.to_device([part])
        window[:] = 2
        sync.from_device([part, (0, LINE)])
        return bool((window[slice(*part)] == 1).all() and not window[:LINE].any())
    except RuntimeError:
        return False
    finally:
        buffer.freebuffer()
