"""``python -m sim.demo --out runs/demo``: train a tri-level sparse Vision Transformer on the simulated accelerator."""

from __future__ import annotations

import argparse
import signal
from dataclasses import replace
from pathlib import Path

from host.errors import PeelVitError, run_main
from sim.demo.demonstration import demonstrate
from sim.demo.recipe import RECIPES, Recipe

_COUNTS = ("train_images", "eval_images", "epochs")


def main() -> None:
    """Command line."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # end like Ctrl-C, children included
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means it
            signal.signal(number, signal.default_int_handler)
    options = _parser().parse_args()
    demonstrate(_recipe(options), options.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sim.demo",
        description="Train a tri-level sparse ViT on the simulated accelerator; compare with dense and with fp32.",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder of the results")
    parser.add_argument("--dataset", choices=RECIPES, default="fashion_mnist", help="real images to train on")
    parser.add_argument("--data-dir", type=Path, help="where data sets are cached")
    parser.add_argument("--seed", type=int, default=0, help="source of everything random")
    parser.add_argument("--train-images", type=int, help="train on so many images")
    parser.add_argument("--eval-images", type=int, help="evaluate on so many held-out images")
    parser.add_argument("--epochs", type=int, help="train for so many epochs")
    return parser


def _recipe(options: argparse.Namespace) -> Recipe:
    counts = {name: getattr(options, name) for name in _COUNTS if getattr(options, name) is not None}
    for name, count in counts.items():
        if count < 1:
            raise PeelVitError(f"--{name.replace('_', '-')} is {count}; give 1 or more")
    data_dir = options.data_dir.resolve() if options.data_dir else None
    return replace(RECIPES[options.dataset], seed=options.seed, data_dir=data_dir, **counts)


if __name__ == "__main__":
    run_main(main)
