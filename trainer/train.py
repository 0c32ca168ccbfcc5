"""Train a Vision Transformer with tri-level sparsity, on one device or, under torchrun, on many.

python -m trainer.train --config cifar10_micro --level trilevel_0.9 --output runs/0.9
python -m trainer.train --resume runs/0.9
python -m trainer.train --evaluate --resume runs/0.9
torchrun --nproc-per-node 4 -m trainer.train --config deit_small_224 --data-dir /data/imagenet --output runs/deit
python -m trainer.train --numerics fixed16 --model vit_micro_patch4_32 --dataset cifar10 --epochs 10 --output runs/fixed
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from host.checkpoint import full_disk_explained
from host.errors import EXIT_INTERRUPTED, PeelVitError, run_main
from host.run_folder import prepare_run_folder
from host.stop import Stopped
from trainer import distributed
from trainer.allocator import keep_freed_memory
from trainer.engine import checkpoint
from trainer.engine.evaluation import evaluate
from trainer.engine.job import Job
from trainer.engine.precision import Precision
from trainer.engine.resume import Content, options_for
from trainer.engine.run import RUN_FILES, OnUpdate, Run, eval_loader
from trainer.engine.weights import fit
from trainer.keep import Keep
from trainer.options import parse

_SHOWN = ("updates", "train_images", "images_seen", "test_images", "test_accuracy", "test_loss", "ema", "best")


def train(given: Mapping[str, Any], on_update: OnUpdate | None = None) -> dict[str, Any]:
    """Train with the options `given` by field name of `Options`; what metrics.json holds.

    `on_update` is called after each update. Raises `PeelVitError` for what the user can put right, `Stopped` when asked
    to stop.
    """
    if given.get("numerics") == "fixed16":
        from trainer.engine.fixed16 import train_fixed16

        return train_fixed16(given, str(chosen_device(given.get("device"))))
    with distributed.peers_alive():
        device = distributed.init_from_environment(chosen_device(given.get("device")))
        options, saved = options_for(given)
        with full_disk_explained(options.folder / checkpoint.NAME):
            run = Run(options, Job.of(options, device), saved, on_update)
            if distributed.is_main():  # after the options have shown that they work
                prepare_run_folder(options.folder, RUN_FILES if saved is None else ())
            distributed.barrier()
            return run.run()


def evaluate_only(given: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluate --resume or --initial-checkpoint on the held-out images; loss and accuracy of each set of weights."""
    device = distributed.init_from_environment(chosen_device(given.get("device")))
    options, saved = options_for(given)
    job = Job.of(options, device)
    loader, precision = eval_loader(options, job), Precision(options, device)
    keep = Keep(options.token_keep, options.attention_keep)
    found: dict[str, Any] = {"dataset": options.data_name, "model": options.model}
    for name, weights in _weights(saved).items():
        if weights is not None:
            assert options.resume is not None
            fit(job.model, weights, options.resume)
        found[name] = asdict(evaluate(job.model, loader, keep, precision, distributed.total))
    loader.close()
    return found


def _weights(saved: Content | None) -> dict[str, Any]:
    """The sets of weights to evaluate; None for those that the model has already."""
    if saved is None:
        return {"weights": None}
    averaged = {} if saved["ema"] is None else {"ema": saved["ema"]["model"]}
    return {"weights": saved["model"], **averaged}


def chosen_device(name: str | None) -> torch.device:
    """The device asked for, or a GPU where there is one; `PeelVitError` when it is not there."""
    count = torch.cuda.device_count()
    try:
        device = torch.device(name or ("cuda" if count else "cpu"))
    except RuntimeError:
        raise PeelVitError(f"there is no device {name}; use cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise PeelVitError(f"this program does not run on {name}; use cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= count:
        raise PeelVitError(
            f"--device {name} was asked for but torch sees {count} GPUs here; use another or --device cpu"
        )
    return device


def main() -> int:
    """Run what the command line says; the process's exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # outside of training it ends the program like Ctrl-C
    keep_freed_memory()
    try:
        _run(parse())
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        return EXIT_INTERRUPTED
    finally:
        distributed.shutdown()
    return 0


def _run(given: Mapping[str, Any]) -> None:
    if given.get("evaluate") and given.get("numerics") != "fixed16":
        shown = evaluate_only(given)
    else:
        metrics = train(given)
        shown = {name: metrics[name] for name in _SHOWN if name in metrics}
    if distributed.is_main():
        print(json.dumps(shown, indent=2))


if __name__ == "__main__":
    run_main(main)
