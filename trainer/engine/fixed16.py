"""`--numerics fixed16`: the accelerator's own training, on its golden model, on a CPU or a GPU.

It is `host.training.train`, the program that the board runs, so it gives bit for bit what the board would give.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from host.backends import load_config
from host.errors import PeelVitError
from host.learner import DeviceLearner
from host.model import ViTConfig
from host.options import OPTIMIZERS
from host.options import Options as DeviceOptions
from host.resume import options_for
from host.runtime import SessionOptions
from host.training import Metrics, train
from trainer.options import DEFAULTS, Options, flag

_NAMES = {
    "hardware_config": "config",
    "keep_warmup": "sparsity_warmup",
    "val_interval": "eval_interval",
    "recovery_interval": "checkpoint_interval",
}
"""Options that `train_edge.py` calls otherwise."""

_SAME = (
    "model", "num_classes", "img_size", "initial_checkpoint", "reset_head", "data_dir", "train_images", "eval_images",
    "no_aug", "epochs", "steps", "batch_size", "grad_accum_steps", "momentum", "weight_decay", "min_lr", "smoothing",
    "seed", "example_keep", "token_keep", "attention_keep", "select_before", "example_period", "example_remove",
    "example_iterations", "resume", "log_interval", "no_progress",
)  # fmt: skip

_DERIVED = (
    "dataset", "opt", "lr", "lr_base", "lr_base_size", "warmup_epochs", "output", "experiment", "numerics", "device",
)  # fmt: skip
"""Options whose value is worked out here."""

_FIXED = {
    "example_method": ("trilevel", "all"),
    "token_method": ("trilevel",),
    "attention_method": ("selected",),
    "selector_placement": ("before",),
    "sched": ("cosine",),
}
"""Options of which the accelerator has only these values."""

_OPTIMIZERS = {theirs: ours for ours, theirs in OPTIMIZERS.items()}


def train_fixed16(given: Mapping[str, Any], device: str) -> Metrics:
    """Train with the options `given` by name on the golden model on `device`; what metrics.json holds."""
    options, saved = options_for(device_options(given))

    def open_golden(options: DeviceOptions, model: ViTConfig) -> DeviceLearner:
        return _golden_learner(options, model, device)

    return train(options, saved=saved, open_learner=open_golden)


def device_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same options for `host.options.Options`; `PeelVitError` for one that the accelerator does not have."""
    options = Options(**given)
    for name in given:
        _check(options, name)
    # A resumed run takes from its checkpoint what is not given, a new one this program's defaults.
    names = set(given) if options.resume is not None else set(DEFAULTS)
    values = {_NAMES.get(name, name): getattr(options, name) for name in names & {*_SAME, *_NAMES}}
    values |= {"backend": "golden"} | _derived(options, names)
    if not options.recovery_interval:
        values.pop("checkpoint_interval", None)
    return {name: value for name, value in values.items() if value is not None}


def _check(options: Options, name: str) -> None:
    value = getattr(options, name)
    if name in _FIXED:
        if value not in _FIXED[name]:
            raise PeelVitError(
                f"{flag(name)} {value} is not possible with --numerics fixed16; the accelerator has "
                f"{' or '.join(_FIXED[name])} only"
            )
    elif name not in (*_SAME, *_NAMES, *_DERIVED):
        raise PeelVitError(
            f"{flag(name)} is not possible with --numerics fixed16, which trains as the accelerator does; leave it out"
        )


def _derived(options: Options, names: Collection[str]) -> dict[str, Any]:
    """Values of those options among `names` that are worked out."""
    derived: tuple[tuple[set[str], str, Any], ...] = (
        ({"dataset"}, "dataset", options.data_name),
        ({"opt"}, "opt", _OPTIMIZERS[options.opt]),
        ({"lr", "lr_base", "lr_base_size"}, "lr", options.learning_rate(world=1)),
        ({"warmup_epochs"}, "warmup_epochs", options.rate_warmup),
        ({"output", "experiment"}, "output", options.folder),
    )
    return {name: value for ours, name, value in derived if not ours.isdisjoint(names)}


def _golden_learner(options: DeviceOptions, model: ViTConfig, device: str) -> DeviceLearner:
    from sim.golden.device import GoldenDevice

    session = SessionOptions(
        batch=options.batch_size,
        training=True,
        optimizer=OPTIMIZERS[options.opt],
        label_smoothing=options.smoothing,
        memory_limit=options.memory_mib << 20,
    )
    return DeviceLearner(GoldenDevice(load_config(options.config), device), model, options.sparsity, session)
