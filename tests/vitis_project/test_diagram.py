"""The committed page and picture of the block design are what the script does."""

from __future__ import annotations

import pytest

from hls.spec import system
from vitis_project import diagram


def test_the_committed_ones_are_fresh(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["diagram", "--check"])
    assert diagram.main() == 0, capsys.readouterr().err


def test_the_page_names_every_block_and_memory_port() -> None:
    text = diagram.PAGE.read_text()
    for block in system.BLOCKS:
        assert f"0x{block.offset:09X}" in text
        assert block.text in text
    for port in system.MEMORY_PORTS:
        assert f"/{port.port} |" in text
