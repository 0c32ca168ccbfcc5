"""Mode execute: a file of images in, a file of logits out."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.checkpoint import replaced_file
from host.data.pixels import to_patches
from host.errors import PeelVitError
from host.job import Normalisation, model_from_json, model_of, normalisation_of_name
from host.model import ViTConfig
from host.options import Options
from host.ready import ready_learner
from host.resume import Saved

TOP1_SUFFIX = "-top1"


def execute(options: Options, saved: Saved | None) -> NDArray[np.float64]:
    """Logits [n, classes] of the images in --inputfile, also written to --outputfile, with their top-1 beside it."""
    if options.inputfile is None or options.outputfile is None:
        raise PeelVitError("--mode execute needs images and a place for the result; give --inputfile and --outputfile")
    if saved is None and options.initial_checkpoint is None:
        raise PeelVitError("there is no model to execute; give --resume or --initial-checkpoint")
    images = read_images(options.inputfile)
    model, normalisation = _model(options, saved, images)
    check_images(images, model, options.inputfile)
    patches = to_patches(normalisation.quantiser()(images), model.patch_size)
    first = np.resize(patches, (options.batch_size, *patches.shape[1:]))
    with closing(ready_learner(options, saved, model, first)) as learner:
        logits = learner.logits(patches)
    top1 = logits.argmax(axis=1)
    beside = options.outputfile.with_name(options.outputfile.stem + TOP1_SUFFIX + ".npy")
    _write(options.outputfile, logits)
    _write(beside, top1)
    print(f"wrote the logits of {len(images)} images to {options.outputfile} and their classes to {beside}")
    return logits


def read_images(path: Path) -> NDArray[Any]:
    """The array in a .npy file; `PeelVitError` when there is none."""
    try:
        return np.load(path, allow_pickle=False)
    except OSError as error:
        raise PeelVitError(f"cannot read {path}: {error.strerror or 'not a .npy file'}; check --inputfile") from None
    except (ValueError, EOFError):
        raise PeelVitError(f"{path} is not a .npy file of numbers; save images with numpy.save") from None


def check_images(images: NDArray[Any], model: ViTConfig, path: Path) -> None:
    """Refuse anything but uint8 images of the model's size."""
    expected = (model.image_size, model.image_size, model.channels)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected or not len(images):
        shape = "x".join(map(str, expected))
        raise PeelVitError(
            f"{path} holds {images.dtype} of shape {list(images.shape)} but {model.name} takes uint8 [n, {shape}]; "
            "convert the images"
        )


def _model(options: Options, saved: Saved | None, images: NDArray[Any]) -> tuple[ViTConfig, Normalisation]:
    if saved is not None:
        return model_from_json(saved.entry("model"))
    channels = images.shape[-1] if images.ndim == 4 else None
    return model_of(options, channels=channels), normalisation_of_name(options.dataset)


def _write(path: Path, array: NDArray[Any]) -> None:
    try:
        with replaced_file(path) as file:
            np.save(file, array)
    except OSError as error:
        raise PeelVitError(f"cannot write {path}: {error.strerror}; choose another --outputfile") from None
