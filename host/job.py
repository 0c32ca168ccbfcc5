"""What the modes share: the model that options and data call for, and its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.data.dataset import Dataset
from host.data.folder import IMAGENET_MEAN, IMAGENET_STD
from host.data.pixels import PixelQuantiser
from host.data.registry import SOURCES, SPLITS, load_dataset
from host.errors import CheckpointError, PeelVitError
from host.float_weights import HEAD, FloatArray, fitted, load_float_weights
from host.initialisation import initial_parameters
from host.model import ViTConfig, parse_model
from host.options import Options
from host.slots import INPUT_FRACTION

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, of pixels scaled to 0..1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def quantiser(self) -> PixelQuantiser:
        """From pixels to what the device reads."""
        return PixelQuantiser(self.mean, self.std, INPUT_FRACTION)


def model_of(options: Options, *, classes: int | None = None, channels: int | None = None) -> ViTConfig:
    """The model that the options name, for data of so many classes and channels."""
    if options.num_classes is not None:
        if classes is not None and options.num_classes < classes:
            raise PeelVitError(
                f"--num-classes is {options.num_classes} but the data set has {classes}; give as many or leave it out"
            )
        classes = options.num_classes
    model = parse_model(options.model, classes=classes, channels=channels)
    _check_selectors(options, model)
    return model if options.img_size is None else replace(model, image_size=options.img_size)


def _check_selectors(options: Options, model: ViTConfig) -> None:
    """Refuse keep ratios that nothing in the model would apply."""
    if min(options.token_keep, options.attention_keep) < 1 and min(options.select_before) > model.depth:
        places = ", ".join(map(str, options.select_before))
        raise PeelVitError(
            f"the selectors stand before blocks {places} but the model has {model.depth}; "
            "name earlier ones with --select-before or keep all tokens and connections"
        )


@dataclass(frozen=True)
class Data:
    """Both splits with the indices that the options leave in, and the model that fits their pixels and classes."""

    model: ViTConfig
    train: Dataset
    test: Dataset
    train_pool: Indices
    test_pool: Indices

    @property
    def normalisation(self) -> Normalisation:
        """That of the data set."""
        return Normalisation(self.train.mean, self.train.std)


def load_data(options: Options) -> Data:
    """The data set that the options name, in the model's size; fetched when it is a built-in one and not there."""
    size = options.img_size or parse_model(options.model, classes=2, channels=1).image_size
    train, test = (load_dataset(options.dataset, split, data_dir=options.data_dir, image_size=size) for split in SPLITS)
    model = model_of(options, classes=len(train.classes), channels=train.image_shape[2])
    pools = (_pool(len(train), options.train_images), _pool(len(test), options.eval_images))
    return Data(model, train, test, *pools)


def _pool(count: int, limit: int | None) -> Indices:
    """Indices of all examples, or of `limit` chosen once and for all, ascending."""
    if limit is None or limit >= count:
        return np.arange(count, dtype=np.int64)
    random = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(count)))
    return np.sort(random.permutation(count)[:limit]).astype(np.int64)


def normalisation_of_name(dataset: str) -> Normalisation:
    """The normalisation of a built-in data set by name; ImageNet's for picture folders."""
    if dataset in SOURCES:
        return Normalisation(tuple(SOURCES[dataset].mean), tuple(SOURCES[dataset].std))
    return Normalisation(IMAGENET_MEAN, IMAGENET_STD)


def starting_weights(options: Options, model: ViTConfig) -> dict[str, FloatArray]:
    """The float weights that the options name, or fresh ones of the seed."""
    fresh: Mapping[str, FloatArray] = initial_parameters(model, options.seed)
    if options.initial_checkpoint is None:
        if options.reset_head:
            raise PeelVitError("--reset-head has no effect without --initial-checkpoint; leave it out")
        return dict(fresh)
    weights = load_float_weights(options.initial_checkpoint)
    return fitted(model, weights, fresh, HEAD if options.reset_head else ())


def model_to_json(model: ViTConfig, normalisation: Normalisation) -> dict[str, Any]:
    """What a checkpoint says of the model, so that it can be run without its data set."""
    return {"config": asdict(model), "mean": list(normalisation.mean), "std": list(normalisation.std)}


def model_from_json(content: Mapping[str, Any]) -> tuple[ViTConfig, Normalisation]:
    """The inverse of `model_to_json`; `CheckpointError` when it is not there."""
    try:
        normalisation = Normalisation(tuple(content["mean"]), tuple(content["std"]))
        return ViTConfig(**content["config"]), normalisation
    except (KeyError, TypeError):
        raise CheckpointError("the checkpoint does not describe its model; use one that train_edge.py wrote") from None
