"""The way to a board: pynq's device for this machine or for one elsewhere, and its errors in words."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from host.board_files import PYNQ_PORT, Files, LocalFiles
from host.errors import PeelVitError

CALL_SECONDS = 120.0
"""What one call to a board elsewhere may take, the longest being the transfer of a whole window."""


def pynq_module() -> Any:
    """The package pynq, imported when a board is asked for; `PeelVitError` where it is missing."""
    try:
        with quiet():
            import pynq
    except ModuleNotFoundError as error:
        raise PeelVitError(
            f"the pynq backend needs the Python package {error.name}; install pynq 4.0.0, or choose another --backend"
        ) from None
    return pynq


@contextmanager
def quiet() -> Iterator[None]:
    """Without pynq's warnings: of other processors, of old interfaces in its own packages, of clocks it rounds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def address_of(board: str) -> tuple[str, int]:
    """Host and port of `ADDRESS` or `ADDRESS:PORT`."""
    host, colon, port = board.rpartition(":")
    if not colon:
        return board, PYNQ_PORT
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise PeelVitError(f"--board {board} is no address; give ADDRESS or ADDRESS:PORT, such as 192.168.2.99:7967")
    return host, int(port)


def connect(board: str | None, call_seconds: float = CALL_SECONDS) -> Any:
    """pynq's device: the machine's own, or that of the server at `board`, whose calls end after `call_seconds`."""
    pynq = pynq_module()
    if board is None:
        return _local(pynq)
    host, port = address_of(board)
    try:
        from pynq.pl_server.remote_device import RemoteDevice
    except ImportError:
        raise PeelVitError("a board elsewhere is reached by pynq 4 only; install pynq 4.0.0 here") from None
    try:
        device = RemoteDevice(0, host, port)
    except RuntimeError:
        raise PeelVitError(
            f"no board answers at {host}:{port}; check its power, its address and that pynq-remote runs there"
        ) from None
    device._stub = {name: _Deadline(stub, call_seconds) for name, stub in device._stub.items()}
    return device


def _local(pynq: Any) -> Any:
    with quiet():
        devices = [device for device in pynq.Device.devices if not is_remote(device)]
    if not devices:
        raise PeelVitError(
            "this machine is no PYNQ board: it has no FPGA manager or no XRT; source XRT's setup.sh and run as root on "
            "the board, or name one with --board ADDRESS"
        )
    return devices[0]


class _Deadline:
    """A stub whose calls end: pynq's own wait for ever on a connection that nobody closes."""

    def __init__(self, stub: Any, seconds: float) -> None:
        self._stub, self._seconds = stub, seconds

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._stub, name)
        return lambda request: method(request, timeout=self._seconds)


def is_remote(device: Any) -> bool:
    """Whether calls to a pynq device go over a connection."""
    return bool(device.has_capability("REMOTE"))


class _DeviceFiles:
    """The files of a board elsewhere, over pynq's own connection."""

    def __init__(self, device: Any) -> None:
        self._device = device
        self._found: set[str] = set()

    def read(self, path: str) -> bytes | None:
        """See `Files`."""
        if path not in self._found and not self._device.exists_file(path).exists:
            return None
        self._found.add(path)
        content: bytes = self._device.read_file(path)
        return content


def files_of(device: Any) -> Files:
    """The files of the machine that `device` belongs to."""
    return _DeviceFiles(device) if is_remote(device) else LocalFiles()


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what pynq raises into one sentence; `where` names the board."""
    try:
        yield
    except Exception as error:
        sentence = _sentence(where, error)
        if sentence is None:
            raise
        raise PeelVitError(sentence) from error


def _sentence(where: str, error: Exception) -> str | None:
    """What to tell the user; None for errors that are not a board's."""
    if isinstance(error, PeelVitError):
        return None
    if _is_rpc_error(error):
        return _rpc_sentence(where, error)
    if isinstance(error, OSError) and "oot permission" in str(error):  # pynq writes it with a capital
        return "PYNQ reaches the fabric through /dev/mem, which needs root; run with sudo -E"
    if isinstance(error, (RuntimeError, OSError)):
        return f"{where} refused a call: {str(error).strip() or type(error).__name__}; see `python -m host doctor`"
    return None


def _is_rpc_error(error: Exception) -> bool:
    grpc = sys.modules.get("grpc")
    return grpc is not None and isinstance(error, grpc.RpcError)


def _rpc_sentence(where: str, error: Any) -> str:
    code = error.code().name
    if code in ("UNAVAILABLE", "CANCELLED"):
        return f"the connection to {where} was lost; check cable, power and server, then go on with --resume"
    if code == "DEADLINE_EXCEEDED":
        return f"{where} does not answer any more; check cable, power and server, then go on with --resume"
    return f"{where} failed in a call ({code}: {error.details()}); look at its server's log"
