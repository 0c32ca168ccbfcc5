"""What the options name: data, model, teacher, augmentation, and whether they fit together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import yaml

from host.errors import PeelVitError
from host.options import paper_period
from trainer.augment.augment import Augment
from trainer.augment.options import PLAIN, AugmentOptions
from trainer.cost.saving import modelled_macs
from trainer.cost.schedule import TrainingRun
from trainer.curriculum import Curriculum
from trainer.data.cuts import Cuts
from trainer.data.dataset import TrainingDataset
from trainer.data.datasets import open_dataset
from trainer.engine.subset import limited
from trainer.engine.weights import start_from
from trainer.examples.method import ExampleMethod
from trainer.examples.registry import create_example_method, example_method_options
from trainer.keep import Keep
from trainer.models.base import ImageClassifier
from trainer.models.registry import create_model
from trainer.options import Options


@dataclass(frozen=True)
class Job:
    """Data and model. `train` is None where there is only something to evaluate."""

    train: TrainingDataset | None
    test: TrainingDataset
    model: ImageClassifier
    classes: int
    image_size: int
    device: torch.device

    @classmethod
    def of(cls, options: Options, device: torch.device) -> Job:
        """Open the data and make the model, with the weights of --initial-checkpoint if it is given."""
        image_size = options.img_size or _own_image_size(options.model)
        test = _dataset(options, "test", image_size, options.eval_images)
        train = None if options.evaluate else _dataset(options, "train", image_size, options.train_images)
        classes = _classes(options, test)
        if options.in_chans not in (None, test.channels):
            raise PeelVitError(
                f"--in-chans is {options.in_chans} but the images of {test.name} have {test.channels}; leave it out"
            )
        model = _model(options, classes, image_size, test.channels)
        if options.initial_checkpoint is not None:
            start_from(model, options.initial_checkpoint, reset_head=options.reset_head)
        job = cls(train, test, model.to(device), classes, image_size, device)
        job.try_out(Keep(options.token_keep, options.attention_keep))
        return job

    def try_out(self, keep: Keep) -> None:
        """Run two blank images at the keep ratios of the end, so that what cannot work is told at once."""
        blank = torch.zeros(2, self.test.channels, self.image_size, self.image_size, device=self.device)
        self.model.eval()
        with torch.no_grad():
            self.model(blank, keep)
        self.model.train()

    def teacher(self, options: Options) -> ImageClassifier | None:
        """The dense model that the token method learns from, if it does."""
        method = self.model.token_method
        if not method.needs_teacher:
            if options.teacher is not None:
                raise PeelVitError(f"--teacher has no effect with --token-method {options.token_method}; leave it out")
            return None
        if options.teacher is None or options.teacher_checkpoint is None:
            raise PeelVitError(
                f"--token-method {options.token_method} learns from a teacher; "
                "give --teacher MODEL and --teacher-checkpoint WEIGHTS"
            )
        teacher = create_model(
            options.teacher,
            num_classes=self.classes,
            img_size=self.image_size,
            in_chans=self.test.channels,
            token_method="dense",
        )
        start_from(teacher, options.teacher_checkpoint)
        return teacher.to(self.device).eval().requires_grad_(False)

    def augment(self, options: Options) -> Augment:
        """From the bytes of a batch to what the model sees."""
        return Augment(
            augmentation(options, mirrors=self.test.mirrors),
            self.test.mean,
            self.test.std,
            self.image_size,
            self.device,
        )

    def curriculum(self, options: Options) -> Curriculum | None:
        """The course of image size and augmentation, if there is one."""
        if options.curriculum == "none":
            return None
        return Curriculum(options.epochs, self.image_size, self.model.config.patch_size)

    def modelled_macs(self, options: Options, updates: int, shown: float | None) -> dict[str, Any] | None:
        """See `trainer.cost.saving`: of a run of `updates` an epoch; None for images of changing size."""
        if options.curriculum != "none":
            return None
        keep = Keep(options.token_keep, options.attention_keep)
        run = TrainingRun(1.0, keep, options.epochs, updates, batch_size=1, warmup=options.warmup_span)
        layers = _model_settings(options, self.classes, self.image_size, self.test.channels)
        return modelled_macs(options.model, run, shown, **layers)


def _own_image_size(model: str) -> int:
    """The image size that the model's name stands for."""
    size: int = create_model(model, num_classes=2, token_method="dense").config.image_size
    return size


def _dataset(options: Options, split: str, image_size: int, images: int | None) -> TrainingDataset:
    cuts = Cuts(options.scale, options.ratio, options.train_interpolation, options.crop_pct)
    dataset = open_dataset(
        options.data_name, split, image_size, data_dir=options.data_dir, cuts=cuts, download=options.download
    )
    return limited(dataset, images)


def _classes(options: Options, dataset: TrainingDataset) -> int:
    found = len(dataset.classes)
    if options.num_classes is not None and options.num_classes < found:
        if options.evaluate and options.resume is not None:
            raise PeelVitError(
                f"{options.resume} was trained on {options.num_classes} classes but {dataset.name} has {found}; "
                "evaluate on a --dataset of the same classes"
            )
        raise PeelVitError(
            f"--num-classes is {options.num_classes} but {dataset.name} has {found}; give as many or leave it out"
        )
    return options.num_classes or found


def _model(options: Options, classes: int, image_size: int, channels: int) -> ImageClassifier:
    return create_model(
        options.model,
        drop_path_rate=options.drop_path,
        dynamic_img_size=options.curriculum != "none",
        seed=options.seed,
        **_model_settings(options, classes, image_size, channels),
    )


def _model_settings(options: Options, classes: int, image_size: int, channels: int) -> dict[str, Any]:
    """What decides a model's layers, besides its name."""
    return {
        "num_classes": classes,
        "img_size": image_size,
        "in_chans": channels,
        "token_method": options.token_method,
        "attention_method": options.attention_method,
        "select_before": options.select_before,
        "placement": options.selector_placement,
        "method_options": settings(options.method_option),
    }


def example_method(options: Options, dataset: TrainingDataset) -> ExampleMethod:
    """Who chooses the training examples."""
    given = {
        "period_epochs": options.example_period,
        "remove_fraction": options.example_remove,
        "iterations": options.example_iterations,
    }
    if "period_epochs" in example_method_options(options.chosen_example_method) and options.example_period is None:
        given["period_epochs"] = paper_period(options.epochs)
    return create_example_method(
        options.chosen_example_method,
        len(dataset),
        keep_ratio=options.example_keep,
        epochs=options.epochs,
        seed=options.seed,
        **{name: value for name, value in given.items() if value is not None},
        **settings(options.example_option),
    )


def settings(pairs: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """KEY=VALUE settings with their values read as YAML does: numbers, true and false, words."""
    try:
        return {key: yaml.safe_load(value) for key, value in pairs}
    except yaml.YAMLError:
        shown = ", ".join("=".join(pair) for pair in pairs)
        raise PeelVitError(f"{shown}: a value cannot be read; give a number, true, false or a word") from None


def augmentation(options: Options, *, mirrors: bool) -> AugmentOptions:
    """What is done to training batches; `mirrors` says whether a mirrored image still shows its class."""
    if options.no_aug:
        return PLAIN
    return AugmentOptions(
        padding=options.crop_padding,
        hflip=0.5 * mirrors if options.hflip is None else options.hflip,
        vflip=options.vflip,
        aa=options.aa,
        color_jitter=options.color_jitter,
        reprob=options.reprob,
        remode=options.remode,
        recount=options.recount,
        mixup=options.mixup,
        cutmix=options.cutmix,
        mixup_prob=options.mixup_prob,
        mixup_switch_prob=options.mixup_switch_prob,
        mixup_mode=options.mixup_mode,
    )
