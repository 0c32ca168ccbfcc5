#!/usr/bin/env python3
"""Train a tri-level sparse Vision Transformer on the accelerator, evaluate it, run it, time it, or test the device.

python3 host/train_edge.py --dataset cifar10 --level 0.8 --epochs 10 --output runs/tri-level
python3 host/train_edge.py --resume runs/tri-level
python3 host/train_edge.py --mode eval --resume runs/tri-level
python3 host/train_edge.py --mode execute --resume runs/tri-level --inputfile images.npy --outputfile logits.npy
python3 host/train_edge.py --mode throughput_test --model deit_tiny_patch16_224 --batchsize 4 --level 0.7
python3 host/train_edge.py --mode selftest
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

if not __package__:  # run as a script: this folder must not hide other packages behind its modules' names
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from host.errors import EXIT_INTERRUPTED, run_main
from host.execution import execute
from host.options import Options, parse
from host.resume import Saved, options_for
from host.selftest import selftest
from host.stop import Stopped
from host.throughput import throughput_test
from host.training import train
from host.validation import evaluate


def _train(options: Options, saved: Saved | None) -> None:
    metrics = train(options, saved=saved)
    shown = {name: metrics[name] for name in ("steps", "test_accuracy", "test_loss", "saturation_rate")}
    print(json.dumps(shown, indent=2))
    print(f"wrote {options.output}/metrics.json, summary.csv, model.safetensors and checkpoint.npz")


MODES: dict[str, Callable[[Options, Saved | None], Any]] = {
    "train": _train,
    "eval": evaluate,
    "execute": execute,
    "throughput_test": throughput_test,
    "selftest": selftest,
}


def main() -> int:
    """Run what the command line says; the process's exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # outside of training it ends the program like Ctrl-C
    options, saved = options_for(parse())
    try:
        MODES[options.mode](options, saved)
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


if __name__ == "__main__":
    run_main(main)
