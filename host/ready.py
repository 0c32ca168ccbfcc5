"""A learner ready to infer: with a run's checkpoint, or with float weights and formats fitted to some images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from host.job import starting_weights
from host.learner import DeviceLearner, open_learner
from host.model import ViTConfig
from host.options import Options
from host.resume import Saved


def ready_learner(
    options: Options, saved: Saved | None, model: ViTConfig, first_patches: NDArray[np.int16]
) -> DeviceLearner:
    """The model of `saved` bit for bit, or of the float weights that the options name, fitted to `first_patches`."""
    # A checkpoint holds the training state, and its fractions belong to the tensors of training.
    learner = open_learner(options, model, training=saved is not None)
    if saved is not None:
        learner.load_state(saved.part("learner"))
        return learner
    learner.load_parameters(starting_weights(options, model))
    learner.calibrate(first_patches)
    return learner
