"""``python -m trainer.cost``: what training with tri-level sparsity costs, as in the paper's Table 1.

python -m trainer.cost --model deit_small_patch16_224
python -m trainer.cost --model deit_small_patch16_224 --level trilevel_0.8 --per-layer
python -m trainer.cost --model deit_tiny_patch16_224 --token-keep 0.7 --time --time-batch-size 8 --json cost.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from host.checkpoint import replaced_file
from host.command_line import Parser, span
from host.errors import PeelVitError, run_main
from trainer.cost.architectures import describe
from trainer.cost.arguments import add_model_options, keep_triple, model_arguments
from trainer.cost.model import CONVENTIONS, StepCost
from trainer.cost.schedule import TrainingRun
from trainer.cost.table import GIGA, as_text, cost_row, measured_keeps, per_layer
from trainer.cost.timing import StepTimes, measure_steps
from trainer.keep import Keep
from trainer.models.registry import create_model
from trainer.options import LEVELS

_COUNTS = {
    "training": "forward and backward with stored attention maps",
    "recompute": "forward and backward with attention maps computed again",
    "forward": "forward only",
}


def parser() -> argparse.ArgumentParser:
    """The options."""
    result = Parser(
        prog="python -m trainer.cost",
        description="MACs and time of training, dense and sparse: Table 1's columns. Without ratios: all presets.",
    )
    add = result.add_argument
    add("--model", default="deit_small_patch16_224", help="by name; default: deit_small_patch16_224")
    add_model_options(result)
    add("--level", choices=LEVELS, help="preset of all three keep ratios; single ones given win")
    add("--example-keep", type=float, help="part of the examples in training")
    add("--token-keep", type=float, help="part of the tokens a selector keeps, in the end")
    add("--attention-keep", type=float, help="part of the keys a query keeps, in the end")
    add("--epochs", type=int, default=300, help="default: 300")
    add("--train-images", type=int, default=1_281_167, help="images in the data set; default: ImageNet-1K's")
    add("--batch-size", type=int, default=512, help="images an update; default: 512, the paper's")
    add("--keep-warmup", type=span, help="START:END epochs between which ratios fall; default: 10:110 of 300")
    add("--count", choices=CONVENTIONS, default="training", help="; ".join(f"{k}: {v}" for k, v in _COUNTS.items()))
    add("--per-layer", action="store_true", help="MACs of every pass of every layer too")
    add("--time", action="store_true", help="measure training steps, dense and sparse by turns")
    add("--time-batch-size", type=int, default=8, help="images of a timed step; default: 8")
    add("--rounds", type=int, default=10, help="timed rounds; default: 10")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="where steps are timed")
    add("--json", type=Path, help="file to write all figures to")
    return result


def runs(options: argparse.Namespace) -> dict[str, TrainingRun]:
    """The training runs asked for by level: one, or all presets."""
    given = (options.example_keep, options.token_keep, options.attention_keep)
    if options.level is None and given == (None, None, None):
        # Other methods have no attention level.
        presets = {k: v if options.token_method == "trilevel" else (*v[:2], 1.0) for k, v in LEVELS.items()}
        return {level: _run(options, triple) for level, triple in presets.items()}
    triple = keep_triple(options.level, *given)
    names = [name for name, ratios in LEVELS.items() if ratios == triple]
    return {names[0] if names else "custom": _run(options, triple)}


def _run(options: argparse.Namespace, triple: Sequence[float]) -> TrainingRun:
    examples, tokens, attention = triple
    return TrainingRun(
        examples, Keep(tokens, attention), options.epochs, options.train_images, options.batch_size, options.keep_warmup
    )


def measure(options: argparse.Namespace, keeps: Sequence[Keep]) -> StepTimes:
    """Times of all `keeps` in one run."""
    for name in ("time_batch_size", "rounds"):
        if getattr(options, name) < 1:
            raise PeelVitError(f"--{name.replace('_', '-')} is {getattr(options, name)}; give 1 or more")
    arguments = model_arguments(options)
    baseline, model = (
        create_model(options.model, **(arguments | {"token_method": method, "method_options": method_options}))
        for method, method_options in (("dense", {}), (options.token_method, arguments["method_options"]))
    )
    size, classes = model.config.image_size, model.config.classes
    generator = torch.Generator().manual_seed(0)
    batch = options.time_batch_size
    images = torch.randn(batch, options.in_chans, size, size, generator=generator).to(options.device)
    labels = torch.randint(classes, (batch,), generator=generator).to(options.device)
    models = baseline.to(options.device), model.to(options.device)
    return measure_steps(*models, keeps, images, labels, options.rounds)


def machine(options: argparse.Namespace) -> dict[str, Any]:
    """What the times were taken on."""
    device = torch.cuda.get_device_name() if options.device.startswith("cuda") else platform.processor() or "cpu"
    return {
        "device": device,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def main(words: Sequence[str] | None = None) -> None:
    """Print the table; write the JSON."""
    options = parser().parse_args(words)
    arguments, count = model_arguments(options), CONVENTIONS[options.count]
    cost = StepCost(describe(options.model, **arguments), **count)
    baseline = StepCost(describe(options.model, **(arguments | {"token_method": "dense"})), **count)
    wanted = runs(options)
    times = None
    if options.time:
        times = measure(options, [keep for run in wanted.values() for keep in measured_keeps(run)])
    rows = [cost_row(options.model, level, baseline, cost, run, _of(run, times)) for level, run in wanted.items()]
    print(f"{options.model}, {options.epochs} epochs, {options.token_method}; MACs: {_COUNTS[options.count]}")
    print(as_text(rows))
    if times is not None:
        where = ", ".join(f"{name} {value}" for name, value in machine(options).items())
        print(f"dense step of {options.time_batch_size} images: {times.dense_seconds:.3f} s, measured on {where}")
    if options.per_layer:
        for level, run in wanted.items():
            print(f"\n{level}: one image's step at {run.keep}; dense {baseline() / GIGA:.4f} G")
            print(per_layer(baseline, cost, run.keep))
    if options.json is not None:
        _write(options, rows, times)


def _of(run: TrainingRun, times: StepTimes | None) -> StepTimes | None:
    """The times of this run's own settings."""
    if times is None:
        return None
    return StepTimes(times.dense_seconds, {keep: times.ratios[keep] for keep in measured_keeps(run)})


def _write(options: argparse.Namespace, rows: Sequence[Any], times: StepTimes | None) -> None:
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    content: dict[str, Any] = {"settings": settings, "rows": [asdict(row) for row in rows]}
    if times is not None:
        steps = [{"token_keep": k.tokens, "attention_keep": k.attention, "ratio": r} for k, r in times.ratios.items()]
        content |= {"machine": machine(options), "dense_seconds": times.dense_seconds, "measured_steps": steps}
    with replaced_file(options.json) as file:
        file.write((json.dumps(content, indent=2) + "\n").encode())


if __name__ == "__main__":
    run_main(main)
