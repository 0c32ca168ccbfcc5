"""``python -m tools.deploy zcu102 --bitfile FILE.bit``: write `deploy/zcu102/`, which is copied to a board."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from hls.spec import instruction
from hls.spec.config import HardwareConfig
from host.backends import load_config
from host.deployment import CHECKSUMS, PROVENANCE, write_checksums
from host.errors import PeelVitError, run_main
from tools.deploy.bitstream import copy_bitstream, find_bitfile
from tools.deploy.products import (
    LEVEL,
    Product,
    default_products,
    parse_weights,
    product_of,
    write_programs,
    write_weights,
)
from tools.deploy.sources import ROOT, build_wheel, copy_sources, sources

README = """\
PeelViT for {board}, configuration {config} (hash {hash})

    sha256sum -c SHA256SUMS               or: python3 -m host verify
    sudo -E python3 -m host doctor        is the board fit to train?
    sudo -E python3 host/train_edge.py --backend pynq --mode selftest
    sudo -E python3 host/train_edge.py --backend pynq --dataset folder:pictures --model deit_tiny_patch16_224 \\
        --initial-checkpoint weights/deit_tiny_patch16_224.safetensors --output runs/first

Python 3.10 or later with numpy and pynq is all it needs (and pillow for pictures in folders). {bitstream}
provenance.json says what this folder was made from. Programs are compiled on the board as they are needed; those in
programs/ are the same bytes, for reading and for other drivers, with JSON that says where everything lies.
"""


def main() -> None:
    """Command line."""
    options = _parser().parse_args()
    config = load_config(options.config)
    folder = options.output or ROOT / "deploy" / config.name
    products = [product_of(name, options.batch) for name in options.models] if options.models else default_products()
    weights = parse_weights(options.weights, products)
    bitfile = options.bitfile or find_bitfile(config)
    files = deploy(config, folder, products, weights, bitfile)
    print(f"wrote {files} files to {folder}; {'with' if bitfile else 'without a'} bitstream")


def deploy(
    config: HardwareConfig, folder: Path, products: list[Product], weights: dict[str, Path], bitfile: Path | None
) -> int:
    """Write the folder anew, whole or not at all; the number of files with checksums."""
    if folder.exists() and not (folder / CHECKSUMS).is_file():
        raise PeelVitError(f"{folder} is there and is no deployed folder; choose another --output")
    stage = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    try:
        _fill(stage, config, products, weights, bitfile)
        files = [path for path in stage.rglob("*") if path.is_file()]
        write_checksums(stage, files)
        if folder.exists():
            shutil.rmtree(folder)
        stage.rename(folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return len(files)


def _fill(
    folder: Path, config: HardwareConfig, products: list[Product], weights: dict[str, Path], bitfile: Path | None
) -> None:
    board_half = sources()
    copy_sources(board_half, folder)
    wheel = build_wheel(board_half, folder, _version())
    for product in products:
        write_programs(config, product, folder)
        write_weights(product, weights.get(product.name), folder)
    bitstream = copy_bitstream(bitfile, config, folder) if bitfile else []
    origins = {product.name: str(weights.get(product.name, "fresh, seed 0")) for product in products}
    content = _provenance(config) | {"wheel": wheel.name, "weights": origins, "bitstream": bitstream, "level": LEVEL}
    (folder / PROVENANCE).write_text(json.dumps(content, indent=2) + "\n")
    there = f"The bitstream is {bitstream[0]}." if bitstream else "The bitstream is missing: make it with `make hw`."
    (folder / "README.txt").write_text(
        README.format(board=config.part, config=config.name, hash=f"{config.hash:016x}", bitstream=there)
    )


def _version() -> str:
    return importlib.metadata.version("peelvit")


def _provenance(config: HardwareConfig) -> dict[str, Any]:
    """What the folder is made from, without times, so that equal sources give an equal folder."""
    return {
        "project": "peelvit",
        "version": _version(),
        "git_revision": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain")),
        "config": config.name,
        "config_hash": f"{config.hash:016x}",
        "part": config.part,
        "clock_mhz": config.clock_mhz,
        "instruction_version": instruction.VERSION,
        "made_with": {"python": platform.python_version(), "numpy": np.__version__},
    }


def _git(*arguments: str) -> str:
    """What git says; empty in a source tree without it."""
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.deploy", description="Writes the folder for a board.")
    parser.add_argument("config", nargs="?", default="zcu102", help="hardware configuration")
    parser.add_argument("--output", type=Path, help="folder to write; default: deploy/CONFIG")
    parser.add_argument("--bitfile", type=Path, help="bitstream with its .hwh beside it; default: what `make hw` wrote")
    parser.add_argument("--models", nargs="+", metavar="MODEL", help="instead of DeiT-T and the demonstration's model")
    parser.add_argument("--batch", type=int, default=16, help="images of a training micro-batch of --models")
    parser.add_argument("--weights", nargs="*", default=[], metavar="NAME=FILE", help="instead of fresh weights")
    return parser


if __name__ == "__main__":
    run_main(main)
