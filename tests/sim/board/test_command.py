"""``python -m sim.board`` and ``train_edge.py --board`` as two programs, as users start them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.board.runs import RUN, state

ROOT = Path(__file__).resolve().parents[3]
BOARD = [sys.executable, "-m", "sim.board", "--config", "toy"]
SECONDS = 300


def test_two_programs_train_together(undisturbed: Path, tmp_path: Path) -> None:
    bitfile, folder = tmp_path / "toy.bit", tmp_path / "run"
    command = [*BOARD, "--port", "0", "--bitfile", str(bitfile)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as board:
        try:
            assert board.stdout is not None
            lines = board.stdout.readline() + board.stdout.readline()
            address = re.search(r"at (127\.0\.0\.1:\d+)", lines)
            assert address, lines
            place = ["--backend", "pynq", "--board", address[1], "--bitfile", str(bitfile)]
            run = subprocess.run(
                [sys.executable, str(ROOT / "host/train_edge.py"), *RUN, *place, "--output", str(folder)],
                cwd=tmp_path, capture_output=True, text=True, check=False, timeout=SECONDS,
            )  # fmt: skip
            assert run.returncode == 0, run.stderr
            board.terminate()
            assert board.wait(20) == 130
            assert board.stderr is not None
            assert board.stderr.read() == "interrupted\n"
        finally:
            board.kill()
    assert state(folder) == state(undisturbed)
    assert {path.name for path in tmp_path.iterdir()} == {"run", "toy.bit", "toy.hwh"}  # and no loaded.xclbin


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--fault", "fire"], "there is no fault fire"),
        (["--config", "none"], "there is no hardware configuration none"),
        (["--port", "99999"], "port 99999 cannot be opened"),
    ],
)
def test_a_mistake_is_a_sentence(arguments: list[str], sentence: str) -> None:
    run = subprocess.run([*BOARD, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert run.returncode == 2
    assert sentence in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
