"""``python -m sim.parity --model vit_micro_patch4_32 --tokens 0.7 --attention 0.5 --steps 2``."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from contextlib import closing

from tqdm import tqdm

from hls.spec.config import HardwareConfig
from host.compiler import compile_program
from host.devices.csim import CsimDevice
from host.errors import PeelVitError, run_main
from host.model import SELECT_BEFORE, Sparsity, ViTConfig, parse_model
from host.runtime import Session, SessionOptions
from sim.csim import VARIANTS, build
from sim.golden.device import GoldenDevice
from sim.parity.float_comparison import compare_with_float
from sim.parity.lockstep import DifferenceError, LockstepDevice
from sim.workload import (
    LEARNING_RATE,
    MOMENTUM,
    WEIGHT_DECAY,
    Batch,
    load_hardware,
    random_batch,
    random_parameters,
    real_batch,
)

EXIT_DIFFERENT = 1
LABEL_SMOOTHING = 0.1
MEMORY_LIMIT = 4 << 30
"""Simulated memory is cheap: larger micro-batches than a board holds may be compared."""


def main() -> int:
    """Command line; 1 when anything differs."""
    options = _parser().parse_args()
    if options.steps < 1:
        raise PeelVitError(f"{options.steps} steps compare nothing; give 1 or more")
    config = load_hardware(options.config)
    model = parse_model(options.model)
    sparsity = Sparsity(options.tokens, options.attention, tuple(options.select_before or _places(model)))
    batches = _batches(options, model, options.batch * options.accumulate)
    if options.float:
        return (
            0
            if compare_with_float(config, model, sparsity, batches, options.from_training, options.seed)
            else EXIT_DIFFERENT
        )
    return _compare_devices(options, config, model, sparsity, batches)


def _places(model: ViTConfig) -> tuple[int, ...]:
    """The paper's places of selectors; in a model too small for them, before every block but the first."""
    return SELECT_BEFORE if model.depth >= max(SELECT_BEFORE) else tuple(range(2, model.depth + 1))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sim.parity", description="Golden model against C simulation.")
    parser.add_argument("--model", default="vit_micro_patch4_32", help="a preset, or vit:image=32,patch=4,...")
    parser.add_argument("--tokens", type=float, default=0.7, help="token keep ratio")
    parser.add_argument("--attention", type=float, default=0.5, help="attention keep ratio")
    parser.add_argument("--select-before", type=int, nargs="+", help="selectors; default 4 7 10, earlier if small")
    parser.add_argument("--steps", type=int, default=1, help="optimizer steps")
    parser.add_argument("--batch", type=int, default=1, help="images of a micro-batch")
    parser.add_argument("--accumulate", type=int, default=1, help="micro-batches of a step")
    parser.add_argument("--config", default="zcu102", help="hardware configuration")
    parser.add_argument("--variant", choices=[v for v in VARIANTS if v != "sanitized"], default="fast")
    parser.add_argument("--data", default="random", help="random pixels, or a data set such as digits or cifar10")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--float", action="store_true", help="compare the golden model with float64 instead")
    parser.add_argument("--from-training", type=int, default=0, metavar="K", help="with --float: again after K steps")
    return parser


def _batches(options: argparse.Namespace, model: ViTConfig, images: int) -> Iterator[Batch]:
    """Batches without end, from the seed."""
    for seed in itertools.count(options.seed):
        if options.data == "random":
            yield random_batch(model, images, seed)
        else:
            yield real_batch(options.data, model, images, seed)


def _compare_devices(
    options: argparse.Namespace, config: HardwareConfig, model: ViTConfig, sparsity: Sparsity, batches: Iterator[Batch]
) -> int:
    build(config, options.variant)
    settings = SessionOptions(options.batch, label_smoothing=LABEL_SMOOTHING, memory_limit=MEMORY_LIMIT)
    subject = CsimDevice(config, options.variant)
    with closing(Session(subject, model, sparsity, settings)) as calibrated:
        calibrated.load_parameters(random_parameters(model, options.seed))
        calibrated.calibrate(*next(batches))
        state = calibrated.state()
    device = LockstepDevice(GoldenDevice(config), subject)
    session = Session(device, model, sparsity, settings)
    session.load_state(state)
    _name(device, session, options.batch * options.accumulate)
    try:
        with closing(session), tqdm(total=0, unit="instruction", disable=None) as bar:
            device.on_program = lambda count: _extend(bar, count)
            device.on_instruction = bar.update
            for batch in itertools.islice(batches, options.steps):
                session.train_step(
                    *batch, learning_rate=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
                )  # fmt: skip
    except DifferenceError as difference:
        print(f"different: {difference}", file=sys.stderr)
        return EXIT_DIFFERENT
    seen = device.compared
    print(
        f"equal: {model.name} on {config.name} ({options.variant}), tokens {options.tokens}, attention "
        f"{options.attention}: {options.steps} steps, {seen.programs} programs, {seen.instructions} instructions, "
        f"{seen.tensors} tensors, {seen.bytes:,} bytes compared"
    )
    return 0


def _extend(bar: tqdm, count: int) -> None:
    bar.total += count
    bar.refresh()


def _name(device: LockstepDevice, session: Session, images: int) -> None:
    """Give the device the names of all programs of a training step, and of the slots."""
    layout = session.layout
    for accumulate, update in itertools.product((False, True), (None, images)):
        program = compile_program(
            layout, session.plan, accumulate=accumulate, update_images=update, label_smoothing=LABEL_SMOOTHING
        )
        device.labels[program.data] = program.names
    for name, first in layout.slots.first.items():
        tensor = layout.tensors[name]
        if tensor.slot_of is None:
            device.slot_names.update({first + i: name for i in range(tensor.slots.value)})


if __name__ == "__main__":
    run_main(main)
