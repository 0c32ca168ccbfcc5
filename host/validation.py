"""Accuracy on held-out images, computed on the device at the keep ratios of the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass

from host.backends import load_config
from host.data.dataset import Dataset
from host.data.loader import EvalBatches
from host.data.pixels import PixelQuantiser
from host.errors import PeelVitError
from host.job import Indices, load_data
from host.learner import Learner
from host.options import Options
from host.ready import ready_learner
from host.resume import Saved
from host.stop import Stopped


@dataclass(frozen=True)
class Validation:
    """Mean cross-entropy without label smoothing, percentage of right predictions, and clock cycles an image."""

    loss: float
    top1: float
    images: int
    cycles_per_image: float
    saturations: int


def validate(
    learner: Learner,
    dataset: Dataset,
    pool: Indices,
    batch: int,
    quantiser: PixelQuantiser,
    patch: int,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Validation:
    """Evaluate the examples `pool` of `dataset`; `Stopped` when asked to stop, which leaves the learner as it was."""
    loss, correct, cycles, run, saturations = 0.0, 0, 0, 0, 0
    with EvalBatches(dataset, batch, quantiser, patch, pool) as batches:
        for _, patches, labels, mask in batches:
            result = learner.evaluate(patches, labels)
            loss += float(result.losses[mask].sum())
            correct += int(result.correct[mask].sum())
            cycles, run, saturations = cycles + result.cycles, run + len(labels), saturations + result.saturations
            if stop_requested():
                raise Stopped
    return Validation(loss / len(pool), 100.0 * correct / len(pool), len(pool), cycles / run, saturations)


def evaluate(options: Options, saved: Saved | None) -> Validation:
    """Mode eval: accuracy of a run's checkpoint, or of float weights, on the held-out images; prints a JSON object."""
    if saved is None and options.initial_checkpoint is None:
        raise PeelVitError("there is nothing to evaluate; give --resume or --initial-checkpoint")
    data = load_data(options)
    quantiser, patch = data.normalisation.quantiser(), data.model.patch_size
    with EvalBatches(data.train, options.batch_size, quantiser, patch, data.train_pool[: options.batch_size]) as first:
        calibration = next(first).patches
    with closing(ready_learner(options, saved, data.model, calibration)) as learner:
        validation = validate(learner, data.test, data.test_pool, options.batch_size, quantiser, patch)
    modelled = validation.cycles_per_image / (load_config(options.config).clock_mhz * 1000.0) or None
    shown = {"dataset": options.dataset, "model": options.model, "modelled_ms_per_image": modelled}
    print(json.dumps(shown | asdict(validation), indent=2))
    return validation
