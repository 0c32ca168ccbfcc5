"""The deployed folder trains on the virtual board with numpy and pynq alone, to the bits of the C simulation."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from hls.spec.config import load
from host.data import cache
from host.data.dataset import Examples
from host.data.registry import load_dataset
from sim.board.bitstream import write_bitstream
from sim.board.board import Board
from sim.board.server import BoardServer
from tools.deploy.__main__ import deploy
from tools.deploy.products import product_of

ROOT = Path(__file__).resolve().parents[2]
MODEL = "vit:image=8,patch=2,dim=16,depth=2,heads=2,mlp=32"
FORBIDDEN = ("torch", "jinja2", "PIL", "scipy", "sklearn", "sim", "trainer", "tools", "pytest")
"""pynq itself needs tqdm."""

RUN = (
    "--config", "toy", "--model", MODEL, "--select-before", "2", "-b", "4", "--level", "0.7", "--example-keep", "1",
    "--dataset", "digits", "--train-images", "8", "--eval-images", "4", "--epochs", "1", "--no-progress",
)  # fmt: skip


def data_set(folder: Path) -> None:
    """Some digits in the cache's form, as they would be copied to a board."""
    folder.mkdir()
    for split in ("train", "test"):
        digits = load_dataset("digits", split, data_dir=folder.parent / "fetched")
        chosen = list(range(40))
        cache.save(folder, "digits", split, Examples(digits.read(chosen), digits.labels[chosen]))  # type: ignore[arg-type]


def test_training_from_the_deployed_folder(tmp_path: Path) -> None:
    config = load("toy")
    folder = tmp_path / "deploy" / "toy"
    deploy(
        config, folder, [product_of(f"{MODEL},classes=10", batch=4)], {}, write_bitstream(config, tmp_path / "x.bit")
    )
    data_set(tmp_path / "data")
    (tmp_path / "hook").mkdir()
    hook = f"import sys\nsys.modules.update(dict.fromkeys({FORBIDDEN}))\n"
    (tmp_path / "hook" / "sitecustomize.py").write_text(hook)
    environment = {**os.environ, "PEELVIT_DATA": str(tmp_path / "data")}
    with closing(BoardServer(Board())) as server:
        run = subprocess.run(
            [sys.executable, "host/train_edge.py", "--backend", "pynq", "--board", server.address, *RUN],
            cwd=folder, env=environment | {"PYTHONPATH": str(tmp_path / "hook")},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert run.returncode == 0, run.stderr
    again = subprocess.run(
        [sys.executable, ROOT / "host/train_edge.py", *RUN, "--output", tmp_path / "csim"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    on_the_board = (folder / "runs/train_edge/model.safetensors").read_bytes()
    assert on_the_board == (tmp_path / "csim/model.safetensors").read_bytes()
