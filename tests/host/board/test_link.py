"""What pynq raises, in words."""

from __future__ import annotations

import grpc
import pytest

from host.board.link import explained
from host.errors import PeelVitError


class Call(grpc.RpcError):  # type: ignore[misc]
    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return "Exception calling application"


@pytest.mark.parametrize(
    "error, sentence",
    [
        (OSError("Root permissions required."), "needs root; run with sudo -E"),
        (RuntimeError("BO allocation failed: no memory"), "the board refused a call: BO allocation failed"),
        (FileNotFoundError(), "the board refused a call: FileNotFoundError"),
        (Call(grpc.StatusCode.UNAVAILABLE), "the connection to the board was lost"),
        (Call(grpc.StatusCode.CANCELLED), "the connection to the board was lost"),
        (Call(grpc.StatusCode.DEADLINE_EXCEEDED), "the board does not answer any more"),
        (Call(grpc.StatusCode.UNKNOWN), r"the board failed in a call \(UNKNOWN: Exception calling application\)"),
    ],
)
def test_errors_of_a_board_are_sentences(error: Exception, sentence: str) -> None:
    with pytest.raises(PeelVitError, match=sentence), explained("the board"):
        raise error


@pytest.mark.parametrize("error", [ValueError("a defect"), PeelVitError("a sentence"), KeyboardInterrupt()])
def test_other_errors_stay_what_they_are(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, explained("the board"):
        raise error
    assert caught.value is error
