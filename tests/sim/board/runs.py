"""Training runs on a virtual board, with the program as users start it."""

from __future__ import annotations

import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from host.checkpoint import CHECKPOINT_NAME, load_checkpoint
from host.errors import run_main
from host.train_edge import main
from sim.board.board import Board, BoardOptions
from sim.board.faults import parse_fault
from sim.board.server import BoardServer

MODEL = "vit:image=8,patch=2,dim=16,depth=2,heads=2,mlp=32"
RUN = (
    "--config", "toy", "--model", MODEL, "--select-before", "2", "-b", "4", "--level", "0.7", "--example-keep", "1",
    "--dataset", "digits", "--train-images", "12", "--eval-images", "4", "--epochs", "1", "--checkpoint-interval", "1",
    "--no-progress",
)  # fmt: skip


def serve(*faults: str, **options: object) -> BoardServer:
    """A virtual board with faults on a free port."""
    return BoardServer(Board(BoardOptions(faults=tuple(map(parse_fault, faults)), **options)))  # type: ignore[arg-type]


def on_board(server: BoardServer, bitfile: Path) -> tuple[str, ...]:
    return ("--backend", "pynq", "--board", server.address, "--bitfile", str(bitfile))


def train(*arguments: str | Path) -> tuple[int, str]:
    """The program's exit code, and what it wrote to stderr."""
    errors = StringIO()
    with (
        mock.patch.object(sys, "argv", ["train_edge.py", *map(str, arguments)]),
        redirect_stderr(errors),
        redirect_stdout(StringIO()),
        pytest.raises(SystemExit) as end,
    ):
        run_main(main)
    return int(end.value.code or 0), errors.getvalue()


def state(folder: Path) -> dict[str, bytes]:
    """Everything that a run leaves behind, but for the options that say where it ran."""
    arrays, meta = load_checkpoint(folder / CHECKPOINT_NAME)
    kept = {name: np.ascontiguousarray(array).tobytes() for name, array in arrays.items()}
    kept |= {name: repr(meta[name]).encode() for name in ("model", "position", "totals")}
    return kept | {name: (folder / name).read_bytes() for name in ("summary.csv", "steps.csv", "model.safetensors")}
