"""The server, asked by pynq's own self-test."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from hls.spec.config import load
from host.board.clock import forget_clocks
from host.errors import PeelVitError
from sim.board.bitstream import write_bitstream
from sim.board.board import Board
from sim.board.server import BoardServer


@pytest.fixture
def server() -> Iterator[BoardServer]:
    server = BoardServer(Board())
    yield server
    server.close()


def test_pynqs_own_selftest_passes(
    server: BoardServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import pynq
    from pynq.pl_server import global_state

    monkeypatch.setattr(global_state, "STATE_DIR", str(tmp_path))
    forget_clocks(pynq.Clocks)  # it may hold those of a board that another test has closed
    bitfile = write_bitstream(load("toy"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pynq.remote.selftest import main

        code = main(["--ip", "127.0.0.1", "--port", str(server.port), "--bitstream", str(bitfile)])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert "11 passed, 0 failed" in printed


def test_a_taken_port_is_a_sentence(server: BoardServer) -> None:
    with pytest.raises(PeelVitError, match="another program"):
        BoardServer(Board(), server.port)
