"""The training loop: examples in, optimizer steps on the learner, and everything that makes a run resumable.

Randomness is a function of seed, epoch and example, so a run that was killed continues bit for bit from its checkpoint:
the weights, the optimizer, the exponents, the selection of examples, and every file but timing.csv and power.csv.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from host.backends import load_config
from host.checkpoint import CHECKPOINT_NAME, PREVIOUS_SUFFIX, full_disk_explained, save_checkpoint
from host.data.augment import RandomCropFlip
from host.data.loader import Batches, TrainBatch
from host.errors import CheckpointError, PeelVitError
from host.examples import ExampleSelector
from host.float_weights import save_safetensors
from host.job import Data, Indices, load_data, model_to_json, starting_weights
from host.learner import Learner, open_learner
from host.metrics import RunLog
from host.metrics import StepResult as LoggedStep
from host.micro_batches import Labels, Patches
from host.model import Sparsity, ViTConfig
from host.options import Options
from host.power.meter import PowerMeter
from host.power.start import meter_for
from host.results import StepResult
from host.resume import Saved, join, options_for
from host.run_folder import prepare_run_folder
from host.schedules import CosineRate, KeepRatio
from host.stop import Stopped, StopRequest
from host.validation import Validation, validate

WEIGHTS_NAME = "model.safetensors"

RUN_FILES = (CHECKPOINT_NAME, CHECKPOINT_NAME + PREVIOUS_SUFFIX, "metrics.json")
"""Files by which a folder is known to hold a run."""

_SWITCH_SECONDS = 0.1e-3
"""After so long a thread that makes the next batch lets go of Python's lock, on which the step may be waiting."""

UNMIRRORED = frozenset({"digits"})
"""Built-in data sets in which left and right matter."""

Metrics = dict[str, Any]
OpenLearner = Callable[[Options, ViTConfig], Learner]


@dataclass(frozen=True)
class Step:
    """What a callback is told after each optimizer step, counted from 1; `examples` index the training split."""

    number: int
    epoch: int
    examples: Indices
    learning_rate: float
    sparsity: Sparsity
    result: StepResult


OnStep = Callable[[Step], None]


def train(
    options: Options,
    *,
    saved: Saved | None = None,
    open_learner: OpenLearner = open_learner,
    on_step: OnStep | None = None,
) -> Metrics:
    """Train as `options` say and return what metrics.json holds.

    Arguments:
        options: the run; `resume` in it continues a checkpoint.
        saved: the checkpoint that `options` resume, when it is loaded already.
        open_learner: makes what is trained; by default the model on the device that `options` name.
        on_step: called after each optimizer step.

    Raises `PeelVitError` for what the user can put right, `Stopped` (a `KeyboardInterrupt`) when asked to stop.
    """
    if options.resume is not None and saved is None:
        options, saved = options_for({f.name: getattr(options, f.name) for f in fields(options)})
    with full_disk_explained(options.output / CHECKPOINT_NAME):
        prepare_run_folder(options.output, RUN_FILES if saved is None else ())
        data = load_data(options)
        sys.setswitchinterval(_SWITCH_SECONDS)
        with closing(open_learner(options, data.model)) as learner, meter_for(options) as power:
            return _Run(options, data, learner, power, saved, on_step).run()


@dataclass
class _Totals:
    """Sums over the whole run, part of the checkpoint."""

    images: int = 0
    cycles: int = 0
    saturations: int = 0
    values: int = 0
    last_cycles: int = 0


@dataclass
class _Position:
    """Steps done of which epoch. All of an epoch's steps may be done while its end is still to come."""

    epoch: int = 0
    steps: int = 0


@dataclass
class _Run:
    options: Options
    data: Data
    learner: Learner
    power: PowerMeter
    saved: Saved | None
    on_step: OnStep | None
    position: _Position = field(default_factory=_Position)
    totals: _Totals = field(default_factory=_Totals)

    def __post_init__(self) -> None:
        options = self.options
        self.selector = ExampleSelector(
            len(self.data.train_pool),
            options.example_keep,
            period_epochs=options.exchange_period,
            remove_fraction=options.example_remove,
            iterations=options.example_iterations,
            seed=options.seed,
        )
        self.steps_per_epoch = self.selector.subset_size // options.images_per_step
        if not self.steps_per_epoch:
            raise PeelVitError(
                f"{self.selector.subset_size} training images do not fill one step of {options.images_per_step}; "
                "use a smaller batch or more images"
            )
        self.scheduled_steps = options.epochs * self.steps_per_epoch
        self.last_step = min(self.scheduled_steps, options.steps or self.scheduled_steps)
        self.learning_rate = CosineRate(
            options.learning_rate,
            self.scheduled_steps,
            warmup_steps=min(round(options.warmup_epochs * self.steps_per_epoch), self.scheduled_steps),
            minimum=options.min_lr,
        )
        self.token_keep, self.attention_keep = (
            KeepRatio.between_epochs(target, *options.warmup_span, self.steps_per_epoch)
            for target in (options.token_keep, options.attention_keep)
        )
        self.quantiser = self.data.normalisation.quantiser()
        self.clock_mhz = load_config(options.config).clock_mhz
        self._validated: tuple[int, Validation] | None = None

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self.position.epoch * self.steps_per_epoch + self.position.steps

    def run(self) -> Metrics:
        """The whole run, from its beginning or its checkpoint to its end."""
        self._restore()
        log = RunLog(
            self.options.output,
            self.last_step,
            resume_step=self.step,
            resume_epoch=self.position.epoch,
            log_interval=self.options.log_interval,
            progress=not self.options.no_progress,
            power=self.power,
        )
        with log as self.log, StopRequest() as self.stop:
            return self._logged_run()

    def _logged_run(self) -> Metrics:
        if self.saved is not None:
            self.log.load_state(self.saved.part("log"))
        else:
            self._begin()
        self.log.begin()
        try:
            while self.step < self.last_step or self._epoch_is_over():
                self._rest_of_epoch()
            if self.position.steps:  # else the end of the epoch has saved
                self._save()
            return self._finish(self._validate())
        except Stopped:
            self._save()
            raise Stopped(f"stopped after step {self.step}; continue with --resume {self.options.output}") from None

    # Beginning

    def _begin(self) -> None:
        """Fresh weights, and number formats fitted to the first step's images."""
        self.learner.load_parameters(starting_weights(self.options, self.data.model))
        self.learner.set_sparsity(self._sparsity())
        with self._batches() as batches:
            first = next(batches)
        self.learner.calibrate(first.patches, first.labels)

    def _restore(self) -> None:
        if self.saved is None:
            return
        self.selector.load_state(self.saved.part("examples"))
        try:
            self.position = _Position(**self.saved.entry("position"))
            self.totals = _Totals(**self.saved.entry("totals"))
        except TypeError:
            raise CheckpointError(f"{self.saved.path} is of another version; use the version that wrote it") from None
        self.learner.load_state(self.saved.part("learner"))

    # An epoch

    def _rest_of_epoch(self) -> None:
        order = self._order()
        with self._batches() as batches:
            for batch in batches:
                if self.step == self.last_step:
                    return
                self._train_step(batch, order, batches.peek)
                if self.stop.requested:
                    raise Stopped
                if self._checkpoint_is_due():
                    self._save()
        self._end_epoch()

    def _order(self) -> Indices:
        """The epoch's examples as positions in the pool, whole steps only."""
        return self.selector.order(self.position.epoch)[: self.steps_per_epoch * self.options.images_per_step]

    def _batches(self) -> Batches:
        """Whole steps of the present epoch, from the position on."""
        mirror = self.options.dataset not in UNMIRRORED
        return Batches(
            self.data.train,
            self.data.train_pool[self._order()],
            self.options.images_per_step,
            None if self.options.no_aug else RandomCropFlip(flip=mirror),
            self.quantiser,
            self.data.model.patch_size,
            self.position.epoch,
            self.options.seed,
            start=self.position.steps,
        )

    def _sparsity(self) -> Sparsity:
        return Sparsity(self.token_keep(self.step), self.attention_keep(self.step), self.options.select_before)

    def _train_step(self, batch: TrainBatch, order: Indices, peek: Callable[[], TrainBatch | None]) -> None:
        def coming() -> tuple[Patches, Labels] | None:
            following = peek()
            return None if following is None else (following.patches, following.labels)

        options, sparsity, rate = self.options, self._sparsity(), self.learning_rate(self.step)
        self.learner.set_sparsity(sparsity)
        result = self.learner.train_step(
            batch.patches,
            batch.labels,
            learning_rate=rate,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
            coming=coming,
        )
        loss = float(result.losses.mean())
        if not np.isfinite(loss):
            raise PeelVitError(f"the loss is {loss} at step {self.step + 1}; lower the learning rate")
        images = options.images_per_step
        shown = order[self.position.steps * images :][:images]
        self.selector.record(shown, result.correct, result.attention_variance)
        self._count(result, images)
        self.position.steps += 1
        milliseconds = self._milliseconds(result.cycles)
        correct = int(result.correct.sum())
        self.log.end_step(self.step, LoggedStep(loss, correct, images, result.saturations, milliseconds))
        if self.on_step is not None:
            self.on_step(Step(self.step, self.position.epoch, batch.indices, rate, sparsity, result))

    def _count(self, result: StepResult, images: int) -> None:
        totals = self.totals
        totals.images += images
        totals.cycles += result.cycles
        totals.last_cycles = result.cycles
        totals.saturations += result.saturations
        totals.values += self.learner.stored_values() * self.options.grad_accum_steps

    def _checkpoint_is_due(self) -> bool:
        """At every so many steps, but for an epoch's last, whose end saves anyway."""
        return self.step % self.options.checkpoint_interval == 0 and not self._epoch_is_over()

    def _epoch_is_over(self) -> bool:
        return self.position.steps == self.steps_per_epoch

    def _end_epoch(self) -> None:
        epoch, step = self.position.epoch, self.step
        columns: dict[str, float | str] = {"eval_loss": "", "eval_top1": ""}
        if (epoch + 1) % self.options.eval_interval == 0:
            validation = self._validate()
            columns = {"eval_loss": validation.loss, "eval_top1": validation.top1}
            self.log.message(
                f"epoch {epoch}: test loss {validation.loss:.4f}, top1 {validation.top1:.2f} % of {validation.images}"
            )
        self.log.end_epoch(epoch, step, **columns, lr=self.learning_rate(step - 1))
        self.selector.end_epoch(epoch)
        self.position = _Position(epoch + 1, 0)
        self._save()

    def _validate(self) -> Validation:
        """The validation of this step, computed once."""
        if self._validated is None or self._validated[0] != self.step:
            self._validated = self.step, self._validate_now()
        return self._validated[1]

    def _validate_now(self) -> Validation:
        return validate(
            self.learner,
            self.data.test,
            self.data.test_pool,
            self.options.batch_size,
            self.quantiser,
            self.data.model.patch_size,
            lambda: self.stop.requested,
        )

    # Files

    def _save(self) -> None:
        arrays = join(learner=self.learner.state(), examples=self.selector.state(), log=self.log.state())
        meta = {
            "options": self.options.lasting(),
            "model": model_to_json(self.data.model, self.data.normalisation),
            "position": asdict(self.position),
            "totals": asdict(self.totals),
        }
        save_checkpoint(self.options.output / CHECKPOINT_NAME, arrays, meta)

    def _finish(self, validation: Validation) -> Metrics:
        save_safetensors(self.options.output / WEIGHTS_NAME, self.learner.export_float())
        metrics = self._metrics(validation)
        self.log.write_metrics(metrics)
        return metrics

    def _metrics(self, validation: Validation) -> Metrics:
        options, totals = self.options, self.totals
        steps, losses = self.log.curve("loss")
        return {
            "dataset": options.dataset,
            "model": options.model,
            "config": options.config,
            "train_images": len(self.data.train_pool),
            "test_images": validation.images,
            "steps": self.step,
            "images_seen": totals.images,
            "test_accuracy": validation.top1,
            "test_loss": validation.loss,
            "keep": {
                "examples": options.example_keep,
                "tokens": options.token_keep,
                "attention": options.attention_keep,
            },
            "saturations": totals.saturations,
            "saturation_rate": totals.saturations / totals.values if totals.values else 0.0,
            "modelled_ms_per_image": {
                "train": self._milliseconds(totals.last_cycles) / options.images_per_step or None,
                "train_mean": self._milliseconds(totals.cycles) / max(totals.images, 1) or None,
                "inference": self._milliseconds(validation.cycles_per_image) or None,
            },
            "loss_curve": {"step": steps, "loss": losses},
            "options": options.lasting(),
            "timing": self.log.timing(),
        }

    def _milliseconds(self, cycles: float) -> float:
        return cycles / (self.clock_mhz * 1000.0)
