"""Train in floating point what a recorded device run trained: its weights at the start, its images in its order.

python -m sim.demo.recorded --dataset fashion_mnist --level 0.7 --smoothing 0 --output runs/recorded
python -m trainer.replay runs/recorded --output runs/replayed

Augmentation, learning rate and keep ratios of every step are the recorded ones, so that only the arithmetic differs.
Writes metrics.json and model.safetensors.
"""

from __future__ import annotations

import argparse
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from host.checkpoint import replaced_file
from host.data.augment import RandomCropFlip
from host.data.loader import Batches, EvalBatches, TrainBatch
from host.errors import PeelVitError, run_main
from host.float_weights import save_safetensors
from host.job import Data, load_data, starting_weights
from host.model import Sparsity, TokenPlan
from host.options import Options, from_json
from host.slots import INPUT_FRACTION
from host.training import UNMIRRORED, WEIGHTS_NAME
from sim.demo.sequence import Sequence, load_sequence
from trainer.float_training import Evaluation, FloatTrainer
from trainer.keep import DENSE, Counts, KeepSetting
from trainer.models.vit import VisionTransformer
from trainer.tokens.trilevel import TokenAttentionSelector


def replay(run: Path, output: Path) -> dict[str, Any]:
    """Follow the recorded run in the folder `run`; what metrics.json in `output` then holds."""
    options, sequence = recorded_options(run), load_sequence(run)
    data = load_data(options)
    began = time.perf_counter()
    trainer = _trainer(options, data, sequence)
    losses = _train(trainer, options, data, sequence)
    evaluation = _evaluate(trainer, options, data)
    output.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.detach().numpy() for name, tensor in trainer.model.state_dict().items()}
    save_safetensors(output / WEIGHTS_NAME, state)
    metrics = _metrics(options, data, evaluation, losses, time.perf_counter() - began)
    with replaced_file(output / "metrics.json") as file:
        file.write((json.dumps(metrics, indent=2) + "\n").encode())
    return metrics


def recorded_options(run: Path) -> Options:
    """The options that a finished run was made with; `PeelVitError` when the folder does not hold one."""
    try:
        return Options(**from_json(json.loads((run / "metrics.json").read_text())["options"]))
    except (OSError, ValueError, KeyError):
        raise PeelVitError(f"{run} does not hold a finished run; give the folder of one") from None


def _trainer(options: Options, data: Data, sequence: Sequence) -> FloatTrainer:
    places = [index + 1 for index in options.sparsity.plan(data.model).selectors]
    model = VisionTransformer(data.model, TokenAttentionSelector(places))
    weights = starting_weights(options, data.model)
    model.load_state_dict({name: torch.from_numpy(np.asarray(array)) for name, array in weights.items()})
    return FloatTrainer(
        model,
        lambda step: float(sequence.learning_rate[step]),
        "momentum" if options.opt == "momentum" else "adamw",
        options.momentum,
        options.weight_decay,
        options.smoothing,
    )


def _train(trainer: FloatTrainer, options: Options, data: Data, sequence: Sequence) -> list[float]:
    """The loss of every step."""
    losses = []
    progress = tqdm(
        _batches(options, data, sequence), "fp32", len(sequence.epoch), unit="step", dynamic_ncols=True, disable=None
    )
    for step, batch in enumerate(progress):
        ratios = float(sequence.token_keep[step]), float(sequence.attention_keep[step])
        plan = Sparsity(*ratios, options.select_before).plan(data.model)
        result = trainer.step(_floats(batch.patches), batch.labels, _keep(plan))
        losses.append(result.loss)
        if step % options.log_interval == 0:
            progress.set_postfix_str(f"loss {result.loss:.4f}", refresh=False)
    return losses


def _batches(options: Options, data: Data, sequence: Sequence) -> Iterator[TrainBatch]:
    """The recorded steps' images, augmented as they were."""
    augment = None if options.no_aug else RandomCropFlip(flip=options.dataset not in UNMIRRORED)
    quantiser, patch = data.normalisation.quantiser(), data.model.patch_size
    for epoch in np.unique(sequence.epoch):
        order = sequence.of_epoch(epoch)
        images = sequence.examples.shape[1]
        with Batches(data.train, order, images, augment, quantiser, patch, int(epoch), options.seed) as batches:
            yield from batches


def _evaluate(trainer: FloatTrainer, options: Options, data: Data) -> Evaluation:
    """On the images, and at the keep ratios, with which the device was evaluated."""
    plan = options.sparsity.plan(data.model)
    quantiser, patch = data.normalisation.quantiser(), data.model.patch_size
    with EvalBatches(data.test, options.images_per_step, quantiser, patch, data.test_pool) as batches:
        shown = ((_floats(patches[mask]), labels[mask]) for _, patches, labels, mask in batches)
        return trainer.evaluate(shown, _keep(plan))


def _floats(patches: NDArray[np.int16]) -> Tensor:
    """The values that the device's input mantissas stand for, which float32 holds exactly."""
    return torch.from_numpy(patches).float() * 2.0**-INPUT_FRACTION


def _keep(plan: TokenPlan) -> KeepSetting:
    return Counts(plan.token_counts, plan.key_counts) if plan.selectors else DENSE


def _metrics(
    options: Options, data: Data, evaluation: Evaluation, losses: list[float], seconds: float
) -> dict[str, Any]:
    steps = [step for step in range(1, len(losses) + 1) if step % options.log_interval == 0 or step == len(losses)]
    return {
        "dataset": options.dataset,
        "model": options.model,
        "arithmetic": "fp32",
        "steps": len(losses),
        "test_images": evaluation.examples,
        "test_accuracy": 100.0 * evaluation.accuracy,
        "test_loss": evaluation.loss,
        "loss_curve": {"step": steps, "loss": [losses[step - 1] for step in steps]},
        "images_seen": len(losses) * options.images_per_step,
        "seconds": seconds,
    }


def main() -> None:
    """Command line."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="python -m trainer.replay", description="Train a recorded run in float.")
    parser.add_argument("run", type=Path, help="folder of a run of `python -m sim.demo.recorded`")
    parser.add_argument("--output", type=Path, required=True, help="folder for metrics.json and model.safetensors")
    options = parser.parse_args()
    replay(options.run, options.output)


if __name__ == "__main__":
    run_main(main)
