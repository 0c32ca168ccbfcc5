from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "host.data", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_fetch_says_what_it_did(tmp_path: Path, write_cifar, cifar):
    archive = write_cifar(tmp_path, cifar)
    done = run("fetch", "cifar10", "--data-dir", tmp_path)
    assert done.returncode == 0
    assert f"reading {archive}" in done.stderr
    assert "cifar10-train.npz: 15 examples" in done.stderr
    assert "cifar10 train: 15 images of 32x32x3, 10 classes" in done.stdout


def test_info_on_an_empty_folder_says_how_to_fetch(tmp_path: Path):
    done = run("info", PEELVIT_DATA=str(tmp_path))
    assert done.returncode == 0
    assert done.stdout.count("python -m host.data fetch") == 3
    assert list(tmp_path.iterdir()) == []


def test_info_on_a_folder_of_pictures(picture_folder: Path):
    done = run("info", picture_folder)
    assert "pets test: 2 images of 224x224x3, 2 classes with 1 to 1 images each" in done.stdout


@pytest.mark.parametrize("arguments", [("fetch", "cifra10"), ("info", "cifra10"), ("fetch",), ("bring", "cifar10")])
def test_user_errors_are_one_sentence(arguments: tuple[str, ...]):
    done = run(*arguments)
    assert done.returncode == 2
    assert "error:" in done.stderr
    assert "Traceback" not in done.stderr
