"""The training loop: epochs, reports, checkpoints, and everything that lets a run go on as if never interrupted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import convert_conv2d_weight_memory_format

from host.checkpoint import PREVIOUS_SUFFIX
from host.errors import PeelVitError
from host.stop import Stopped, StopRequest
from trainer import distributed
from trainer.data.batch import Batch, MixedBatch
from trainer.data.evaluation import EvalLoader
from trainer.data.loader import TrainLoader
from trainer.engine import checkpoint
from trainer.engine.best import BestEpochs
from trainer.engine.compiling import compile_blocks
from trainer.engine.ema import WeightAverage
from trainer.engine.evaluation import Evaluation, evaluate
from trainer.engine.job import Job, example_method
from trainer.engine.losses import WAY_OUT, Losses, not_finite
from trainer.engine.objective import Objective, Outcome
from trainer.engine.optimizer import create_optimizer, set_learning_rate
from trainer.engine.precision import Precision
from trainer.engine.progress import Position, Totals
from trainer.engine.report import Report
from trainer.engine.schedule import Schedules
from trainer.engine.seeds import derived_seed
from trainer.engine.stopwatch import Stopwatch
from trainer.engine.update import NotFinite, Updater
from trainer.engine.weights import save_weights
from trainer.examples.method import EpochPlan
from trainer.keep import Keep
from trainer.options import Options, lasting
from trainer.scoring import score

RUN_FILES = (checkpoint.NAME, checkpoint.NAME + PREVIOUS_SUFFIX, "metrics.json")
"""Files by which a folder is known to hold a run."""


@dataclass(frozen=True)
class Update:
    """What a callback is told after each update: its number in the run, from 1, and what it was made of."""

    number: int
    epoch: int
    batch: MixedBatch
    learning_rate: float
    keep: Keep


OnUpdate = Callable[[Update], None]


class Run:
    """One training run from its start, or from the checkpoint content `saved`, to its end."""

    def __init__(
        self, options: Options, job: Job, saved: Mapping[str, Any] | None = None, on_update: OnUpdate | None = None
    ) -> None:
        assert job.train is not None
        self.options, self.job, self.on_update = options, job, on_update
        self.rank, self.world = distributed.rank(), distributed.world_size()
        self.position, self.totals = Position(), Totals()
        self.best = BestEpochs(options.eval_metric, max(options.checkpoint_hist, 1))
        self.model = job.model
        if options.channels_last:
            convert_conv2d_weight_memory_format(self.model, torch.channels_last)
        self.precision = Precision(options, job.device)
        self.optimizer = create_optimizer(options, self.model)
        self.average = (
            WeightAverage(self.model, options.model_ema_decay, warmup=options.model_ema_warmup)
            if options.model_ema
            else None
        )
        self.examples = example_method(options, job.train)
        self.augment, self.curriculum = job.augment(options), job.curriculum(options)
        self.loader = self._train_loader()
        self.eval_loader = eval_loader(options, job)
        self.schedules = Schedules.of(options, self.loader.steps(self.examples.plan(0)), self.world)
        self.losses, self.watch = Losses(job.device), Stopwatch(job.device)
        self._recent: list[float] = []  # losses of this epoch that no report has told
        self._evaluated: tuple[int, dict[str, Evaluation]] | None = None
        if saved is not None:
            self._restore(saved)
        self.updater = self._updater()

    def _train_loader(self) -> TrainLoader:
        options = self.options
        assert self.job.train is not None
        return TrainLoader(
            self.job.train,
            options.update_size,
            self.rank,
            self.world,
            options.workers,
            self.job.device,
            options.seed,
            max(options.aug_repeats, 1),
        )

    def _updater(self) -> Updater:
        options, device = self.options, self.job.device
        objective: Objective | DistributedDataParallel = Objective(self.model, self.job.classes, options.smoothing)
        if options.torchcompile:
            compile_blocks(self.model)
        if self.world > 1:
            objective = DistributedDataParallel(
                objective,
                device_ids=[device] if device.type == "cuda" else None,
                # A token method's own parameters need not take part in every update.
                find_unused_parameters=any(True for _ in self.model.token_method.parameters()),
            )
        return Updater(
            objective,
            self.model,
            self.optimizer,
            self.precision,
            self.average,
            self.job.teacher(options),
            options.grad_accum_steps,
            options.clip_grad,
            check_first=device.type == "cpu" and self.world == 1,
            channels_last=options.channels_last,
        )

    # The run

    def run(self) -> dict[str, Any]:
        """Train; what metrics.json holds. Raises `Stopped` when asked to stop, after saving."""
        report = Report(
            self.options,
            epoch=self.position.epoch,
            update=self.position.update,
            total=self._last_update(),
            active=self.rank == 0,
        )
        try:
            with report as self.report, StopRequest() as self.stop, distributed.peers_alive():
                return self._run()
        finally:
            self.loader.close()
            self.eval_loader.close()

    def _run(self) -> dict[str, Any]:
        try:
            while self.position.epoch < self.options.epochs and not self._is_over():
                self._epoch()
            if self.position.step:  # else the end of the epoch has saved
                self._save()
            return self._finish()
        except Stopped:
            self._save()
            raise Stopped(
                f"stopped after step {self.position.update}; continue with --resume {self.options.folder}"
            ) from None

    def _last_update(self) -> int:
        """The number of the last update, as far as it is known in advance."""
        scheduled = self.options.epochs * self.schedules.nominal
        return min(scheduled, self.options.steps or scheduled)

    def _is_over(self) -> bool:
        return self.options.steps is not None and self.position.update >= self.options.steps

    # An epoch

    def _epoch(self) -> None:
        with self.watch.of_host("example"):
            plan = self.examples.plan(self.position.epoch)
        with self.watch.of_host("train"):
            whole = self._updates(plan)
            self._look()  # waits for the device
        self.totals.spend(self.watch.take())
        if whole:
            self._end_epoch(plan)

    def _updates(self, plan: EpochPlan) -> bool:
        """The rest of the epoch's updates; whether the epoch is whole now."""
        steps, interval = self.loader.steps(plan), self.options.recovery_interval
        batches = self.loader.epoch(plan, self.position.epoch, self.position.step)
        for batch in self.watch.waits(batches, "data"):
            self._update(batch, steps)
            at_end = self.position.step == steps
            if self.world == 1 and self.stop.requested:
                raise Stopped
            if self.position.update % self.options.log_interval == 0:
                self._report_updates(steps)
            if interval and self.position.update % interval == 0 and not at_end:
                self._save()
            if self._is_over():
                return at_end
        return True

    def _update(self, batch: Batch, steps: int) -> None:
        position = self.position
        keep = self.schedules.keep(position.epoch, position.step, steps)
        rate = self.schedules.learning_rate(position.epoch, position.step, steps)
        seed = derived_seed(self.options.seed, position.update, self.rank)
        stage = self.curriculum.stage(position.epoch) if self.curriculum else None
        mixed = self.augment(batch, seed, stage)
        torch.manual_seed(seed)
        set_learning_rate(self.optimizer, rate)
        try:
            loss = self.updater(mixed, keep, self._record)
        except NotFinite as error:
            raise not_finite(str(error), position.update + 1) from None
        self.losses.add(loss)
        position.step += 1
        position.update += 1
        self.totals.images += len(batch) * self.world
        if self.on_update is not None:
            self.on_update(Update(position.update, position.epoch, mixed, rate, keep))

    def _record(self, outcome: Outcome, part: MixedBatch) -> None:
        if self.examples.recording:
            with self.watch.of_device("example"):
                self.examples.record(score(outcome.logits, part, outcome.attention_variance), self.position.step)

    def _look(self, *, obey: bool = True) -> None:
        """Take in the losses since the last look. Collective.

        `PeelVitError` when one is not finite; with `obey`, `Stopped` when one of several processes was asked to stop.
        """
        losses, stop = self.losses.take(self.position.update, self.stop.requested)
        for loss in losses:
            self.totals.loss += loss
        self._recent += losses
        if obey and stop and self.world > 1:
            raise Stopped

    def _report_updates(self, steps: int) -> None:
        self._look()
        epoch, step = self.position.epoch, self.position.step - 1
        keep, rate = self.schedules.keep(epoch, step, steps), self.schedules.learning_rate(epoch, step, steps)
        images = len(self._recent) * self.options.update_size * self.world
        mean = sum(self._recent) / len(self._recent)
        values = {"loss": mean, "lr": rate, "keep_tokens": keep.tokens, "keep_attention": keep.attention}
        self.report.updates(self.position.update, images, values)
        self._recent.clear()

    def _end_epoch(self, plan: EpochPlan) -> None:
        epoch, last = self.position.epoch, self.position.epoch + 1 == self.options.epochs
        steps = self.position.step
        found: dict[str, Evaluation] = {}
        gone: list[int] = []
        if last or (epoch + 1) % self.options.val_interval == 0:
            found = self._evaluate()
            gone = self.best.add(epoch, found.get("ema", found["model"]))
        with self.watch.of_host("example"):
            self.examples.end_epoch(epoch)
        self.totals.spend(self.watch.take())
        self.report.epoch(epoch, self.position.update, self._row(epoch, steps, plan, found))
        self.totals.close_epoch()
        self._recent.clear()
        self.position = Position(epoch + 1, 0, self.position.update)
        self._save()
        if found and self.rank == 0:
            self._keep_best(epoch, gone)

    def _row(self, epoch: int, steps: int, plan: EpochPlan, found: Mapping[str, Evaluation]) -> dict[str, Any]:
        """The epoch's row of summary.csv; ratios and rate are those of its last update."""
        assert self.job.train is not None
        totals, keep = self.totals, self.schedules.keep(epoch, steps - 1, steps)
        row: dict[str, Any] = {"train_loss": totals.loss / steps}
        for name, prefix in (("model", "eval"), ("ema", "ema")):
            if name == "model" or self.average is not None:
                scores = asdict(found[name]) if name in found else {}
                row |= {f"{prefix}_{column}": scores.get(column, "") for column in ("loss", "top1", "top5")}
        row["lr"] = self.schedules.learning_rate(epoch, steps - 1, steps)
        row |= {"keep_examples": len(plan.order) / len(self.job.train), "keep_tokens": keep.tokens}
        row |= {"keep_attention": keep.attention, "updates": self.position.update, "images": totals.images}
        return row | {f"{part}_seconds": totals.seconds.get(part, 0.0) for part in ("train", "data", "example", "eval")}

    def _evaluate(self) -> dict[str, Evaluation]:
        """Model and moving average on the held-out images at the final ratios, computed once an update."""
        if self._evaluated is None or self._evaluated[0] != self.position.update:
            models: dict[str, nn.Module] = {"model": self.model}
            if self.average is not None:
                models["ema"] = self.average.model
            with self.watch.of_host("eval"):
                found = {
                    name: evaluate(
                        model,
                        self.eval_loader,
                        self.schedules.final,
                        self.precision,
                        distributed.total,
                        lambda: self.world == 1 and self.stop.requested,
                    )
                    for name, model in models.items()
                }
            self._evaluated = self.position.update, found
            for name, result in found.items():
                self.report.line(
                    f"epoch {self.position.epoch}: {name} loss {result.loss:.4f}, top1 {result.top1:.2f} %, "
                    f"top5 {result.top5:.2f} % of {result.images}"
                )
        return self._evaluated[1]

    # Files

    def _save(self) -> None:
        """Write the checkpoint, unless the weights are spoilt. Collective."""
        self._look(obey=False)
        if not _all_finite(self.model):
            raise PeelVitError(f"the weights are not finite after step {self.position.update}; {WAY_OUT}")
        self.totals.spend(self.watch.take())
        examples = {name: torch.from_numpy(array) for name, array in self.examples.state_dict().items()}
        if self.rank == 0:
            self.report.sync()
            checkpoint.save(self.options.folder / checkpoint.NAME, self._content(examples))

    def _content(self, examples: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "options": lasting(self.options),
            "setting": {"global_batch": self.options.update_size * self.world, "classes": self.job.classes},
            "position": asdict(self.position),
            "totals": asdict(self.totals),
            "best": [list(entry) for entry in self.best.ranking],
            "model": self.model.state_dict(),
            "ema": self.average.state_dict() if self.average else None,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.precision.scaler.state_dict(),
            "examples": examples,
        }

    def _restore(self, saved: Mapping[str, Any]) -> None:
        batch = self.options.update_size * self.world
        if saved["setting"]["global_batch"] != batch:
            raise PeelVitError(
                f"an update has {batch} images in {self.world} processes but the checkpoint was made with "
                f"{saved['setting']['global_batch']}; start as many processes as before"
            )
        self.position, self.totals = Position(**saved["position"]), Totals(**saved["totals"])
        self.best.ranking = [(epoch, value) for epoch, value in saved["best"]]
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if saved["scaler"]:  # empty where the run had none: --amp-dtype may differ
            self.precision.scaler.load_state_dict(saved["scaler"])
        if self.average is not None:
            self.average.load_state_dict(saved["ema"])
        self.examples.load_state_dict({name: tensor.numpy() for name, tensor in saved["examples"].items()})

    def _keep_best(self, epoch: int, gone: list[int]) -> None:
        folder = self.options.folder
        if self.best.best == epoch:
            save_weights(folder / "model_best.safetensors", self._chosen_model())
        if not self.options.checkpoint_hist:
            return
        if epoch not in gone:
            checkpoint.keep_copy(folder / checkpoint.NAME, checkpoint.of_epoch(folder, epoch))
        for number in gone:
            checkpoint.of_epoch(folder, number).unlink(missing_ok=True)

    def _chosen_model(self) -> nn.Module:
        return self.average.model if self.average else self.model

    def _finish(self) -> dict[str, Any]:
        found = self._evaluate()
        self.totals.spend(self.watch.take())
        self.totals.close_epoch()
        metrics = self._metrics(found)
        if self.rank == 0:
            save_weights(self.options.folder / "model.safetensors", self.model)
            if self.average is not None:
                save_weights(self.options.folder / "model_ema.safetensors", self.average.model)
            self.report.metrics(metrics)
        distributed.barrier()
        return metrics

    def _metrics(self, found: Mapping[str, Evaluation]) -> dict[str, Any]:
        assert self.job.train is not None
        options, seconds = self.options, self.totals.run_seconds
        final, average = found["model"], found.get("ema")
        best_epoch, best_value = self.best.ranking[0] if self.best.ranking else (None, None)
        return {
            "dataset": options.data_name,
            "model": options.model,
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "train_images": len(self.job.train),
            "test_images": final.images,
            "epochs": self.position.epoch,
            "updates": self.position.update,
            "images_seen": self.totals.run_images,
            "test_accuracy": final.top1,
            "test_top5": final.top5,
            "test_loss": final.loss,
            "ema": None if average is None else {"test_accuracy": average.top1, "test_loss": average.loss},
            "best": {
                "epoch": best_epoch,
                options.eval_metric: best_value,
                "note": "chosen on the evaluation set, so too good; test_accuracy is that of the last epoch",
            },
            "keep": {
                "examples": options.example_keep,
                "tokens": options.token_keep,
                "attention": options.attention_keep,
            },
            "modelled_macs": self.job.modelled_macs(options, self.schedules.nominal, self._shown()),
            "processes": self.world,
            "device": str(self.job.device),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "timing": {f"{part}_seconds": value for part, value in sorted(seconds.items())}
            | {"images_per_second": self.totals.run_images / seconds["train"] if seconds.get("train") else None},
            "options": lasting(options),
        }

    def _shown(self) -> float | None:
        """Images shown as a part of those that whole updates show of all the data; None before the last epoch's end."""
        assert self.job.train is not None
        batch = self.options.update_size * self.world
        dense = len(self.job.train) // batch * batch * self.options.epochs
        return self.totals.run_images / dense if self.position.epoch == self.options.epochs else None


def eval_loader(options: Options, job: Job) -> EvalLoader:
    """Held-out images in batches, each process its share."""
    return EvalLoader(
        job.test,
        options.validation_batch_size or options.batch_size,
        distributed.rank(),
        distributed.world_size(),
        options.workers,
        job.device,
    )


def _all_finite(model: nn.Module) -> bool:
    """Whether no parameter is infinite or not a number."""
    norms = torch._foreach_norm([parameter.detach() for parameter in model.parameters()])
    return math.isfinite(float(torch.stack([norm.float() for norm in norms]).sum()))
