"""Rendering: the committed snapshot and pages are current, bytes are deterministic, an undefined name fails."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

from hls import render
from hls.spec.config import SHIPPED, load


def test_what_is_committed_is_current() -> None:
    assert {folder: render.drift(folder, files) for folder, files in render.committed().items()} == {
        render.SNAPSHOT: [],
        render.REFERENCE: [],
    }


def test_drift_names_the_files(tmp_path: Path) -> None:
    files = {"a.hpp": "a", "ops/b.hpp": "b", "c.hpp": "c"}
    render.write(tmp_path, files)
    (tmp_path / "ops/b.hpp").write_text("edited")
    (tmp_path / "extra.hpp").write_text("")
    (tmp_path / "c.hpp").unlink()
    assert render.drift(tmp_path, files) == ["c.hpp", "extra.hpp", "ops/b.hpp"]
    render.write(tmp_path, files)
    assert render.drift(tmp_path, files) == []


def test_unchanged_files_keep_their_time_stamps(tmp_path: Path) -> None:
    render.write(tmp_path, {"a.hpp": "a"})
    before = (tmp_path / "a.hpp").stat().st_mtime_ns
    render.write(tmp_path, {"a.hpp": "a"})
    assert (tmp_path / "a.hpp").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", SHIPPED)
def test_rendering_twice_gives_the_same_bytes(name: str) -> None:
    assert render.sources(load(name)) == render.sources(load(name))


def test_an_undefined_name_fails() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render.environment().from_string("{{ nothing_of_this_name }}").render()


def test_an_unknown_configuration_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert render.main(["no_such_board"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: there is no hardware configuration no_such_board")
    assert error.count("\n") == 1
