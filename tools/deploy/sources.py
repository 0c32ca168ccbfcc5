"""The board's half of the repository: `host` and `hls.spec` with the hardware configurations, as files and wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from host.errors import PeelVitError

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = ("host/**/*.py", "hls/__init__.py", "hls/spec/**/*.py", "hls/spec/*.json", "hls/configs/*.json", "LICENSE")
EPOCH = "315532800"
"""1 January 1980 in seconds: the first date that a zip archive can hold, as the date of every file."""

_PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "peelvit-edge"
version = "{version}"
description = "PeelViT's host program for the board"
license = "Apache-2.0"
requires-python = ">=3.10"
dependencies = ["numpy>=1.23,<2"]

[project.optional-dependencies]
board = ["pynq>=3.0,<5"]

[tool.setuptools.packages.find]
include = ["host*", "hls*"]

[tool.setuptools.package-data]
hls = ["configs/*.json", "spec/*.json"]
"""


def sources() -> list[Path]:
    """The files, relative to the repository, sorted."""
    found = {path.relative_to(ROOT) for pattern in PATTERNS for path in ROOT.glob(pattern)}
    return sorted(path for path in found if "__pycache__" not in path.parts)


def copy_sources(files: Iterable[Path], folder: Path) -> None:
    """Copy the files to the same places below `folder`, all with the same mode."""
    for path in files:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, target)
        target.chmod(0o755 if path.name == "train_edge.py" else 0o644)


def build_wheel(files: Iterable[Path], folder: Path, version: str) -> Path:
    """The wheel of the board's half in `folder`; equal files give equal bytes."""
    with tempfile.TemporaryDirectory() as name:
        stage = Path(name)
        copy_sources(files, stage)
        (stage / "pyproject.toml").write_text(_PROJECT.format(version=version))
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        command += ["--disable-pip-version-check", "--no-cache-dir", "--wheel-dir", str(folder), str(stage)]
        run = subprocess.run(
            command, env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH}, capture_output=True, text=True, check=False
        )
    if run.returncode:
        raise PeelVitError(f"the wheel was not built: {run.stderr.strip().splitlines()[-1]}; run `make setup`")
    (wheel,) = folder.glob("*.whl")
    return wheel
