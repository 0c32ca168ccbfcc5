"""Which patches of test images the trained model keeps, asked of the device with the weights of the run's end."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np

from host.backends import open_device
from host.data.pixels import to_patches
from host.job import Data, Indices
from host.options import OPTIMIZERS, Options
from host.resume import load_saved
from host.runtime import Session, SessionOptions
from sim.demo.pictures import KeptExample


def kept_examples(options: Options, data: Data, run: Path) -> tuple[list[KeptExample], int]:
    """The first test image of every class with the prediction and the kept patches; and the device memory in bytes."""
    chosen = first_of_each_class(data.test.labels, data.test_pool)
    images = data.test.read(chosen)
    patches = to_patches(data.normalisation.quantiser()(images), data.model.patch_size)
    session_options = SessionOptions(options.batch_size, optimizer=OPTIMIZERS[options.opt])
    with closing(Session(open_device(options), data.model, options.sparsity, session_options)) as session:
        session.load_state(load_saved(run).part("learner"))
        kept = session.kept_tokens(patches)
        predicted = session.logits(patches).argmax(axis=1)
        memory = session.layout.memory.bytes
    classes = data.train.classes
    examples = [
        KeptExample(images[i], classes[data.test.labels[index]], classes[predicted[i]], [tokens[i] for tokens in kept])
        for i, index in enumerate(chosen)
    ]
    return examples, memory


def first_of_each_class(labels: Indices, pool: Indices) -> Indices:
    """The first example of every class that occurs in `pool`, by class."""
    return pool[np.unique(labels[pool], return_index=True)[1]]
