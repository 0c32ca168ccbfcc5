"""Small files of a board's operating system, such as sysfs entries: of this machine, or of a board elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from host.errors import PeelVitError

PYNQ_PORT = 7967
"""Of PYNQ.remote's server."""

_TIMEOUT = 10.0
"""Seconds that a board elsewhere may take to answer."""


class Files(Protocol):
    """Reads files by their absolute path on the board."""

    def read(self, path: str) -> bytes | None:
        """The content of a file; None when it is not there or cannot be read."""


class LocalFiles:
    """The files of this machine, or of a tree under `root` that stands for one."""

    def __init__(self, root: Path | str = "/") -> None:
        self._root = Path(root)

    def read(self, path: str) -> bytes | None:
        """See `Files`."""
        try:
            return (self._root / path.lstrip("/")).read_bytes()
        except OSError:
            return None


class RemoteFiles:
    """The files of the board whose PYNQ.remote server is at `address`, HOST or HOST:PORT; a connection of its own."""

    def __init__(self, address: str) -> None:
        try:
            import grpc
            from pynq.remote import remote_device_pb2, remote_device_pb2_grpc
        except ModuleNotFoundError as error:
            raise PeelVitError(f"a board elsewhere needs the Python package {error.name}; install pynq") from None
        self._messages, self._error = remote_device_pb2, grpc.RpcError
        self.channel: Any = grpc.insecure_channel(address if ":" in address else f"{address}:{PYNQ_PORT}")
        self._stub: Any = remote_device_pb2_grpc.RemoteDeviceStub(self.channel)

    def read(self, path: str) -> bytes | None:
        """See `Files`."""
        exists, request = (
            self._messages.ExistsFileRequest(file_path=path),
            self._messages.ReadFileRequest(file_path=path),
        )
        try:
            if not self._stub.existsfile(exists, timeout=_TIMEOUT).exists:
                return None
            return b"".join(part.data for part in self._stub.readfile(request, timeout=_TIMEOUT))
        except self._error:
            return None

    def close(self) -> None:
        """End the connection."""
        self.channel.close()


def read_text(files: Files, path: str) -> str | None:
    """The file as text without surrounding blanks, newlines and zeros (the device tree ends strings with one)."""
    content = files.read(path)
    return None if content is None else content.decode(errors="replace").strip(" \t\r\n\0")


def read_number(files: Files, path: str) -> int | None:
    """The whole number in a file; None when there is none."""
    try:
        return int(read_text(files, path) or "")
    except ValueError:
        return None
