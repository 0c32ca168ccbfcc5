"""What the C simulation's device says when its library is missing or stale."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hls.spec.config import load
from host.devices import csim
from host.errors import PeelVitError


def test_a_missing_library_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csim, "BUILD", tmp_path)
    with pytest.raises(PeelVitError, match="does not exist; run `make csim CONFIG=toy`"):
        csim.CsimDevice(load("toy"))


def test_a_library_of_other_sources_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, library = tmp_path / "other.cpp", tmp_path / "toy" / "libpeelvit_fast.so"
    source.write_text('extern "C" void peelvit_run() {}\n')
    library.parent.mkdir()
    subprocess.run(["g++", "-shared", "-fPIC", "-o", library, source], check=True)
    monkeypatch.setattr(csim, "BUILD", tmp_path)
    with pytest.raises(PeelVitError, match="was built from other sources; run `make csim CONFIG=toy`"):
        csim.CsimDevice(load("toy"))
