"""A bitstream, and a run on the C simulation that nothing disturbed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hls.spec.config import load
from sim.board.bitstream import write_bitstream
from tests.sim.board.runs import RUN, train


@pytest.fixture(scope="session")
def bitfile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bitstream(load("toy"), tmp_path_factory.mktemp("bitstream") / "toy.bit")


@pytest.fixture(autouse=True)
def _keep_signals() -> Iterator[None]:
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(scope="session")
def _data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PEELVIT_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, _data: None) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    code, errors = train(*RUN, "--output", folder)
    assert code == 0, errors
    return folder
