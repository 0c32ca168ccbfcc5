"""``python -m trainer.export``: a trained model for other programs, checked before it is kept.

python -m trainer.export --weights runs/train --output deit.safetensors
python -m trainer.export --to device --weights runs/train --output edge.npz
python -m trainer.export --to onnx --model pit_s_224 --weights pit.pth --token-keep 0.8 --output s.onnx
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from host.command_line import Parser
from host.errors import PeelVitError, run_main
from trainer.cost.arguments import add_model_options, keep_triple, model_arguments
from trainer.engine.checkpoint import find
from trainer.engine.weights import fit, load_content, load_weights, save_weights, weights_in
from trainer.export.device import export_device
from trainer.export.onnx_model import export_onnx
from trainer.export.settings import not_given, of_run, told
from trainer.keep import Keep
from trainer.models.base import ImageClassifier
from trainer.models.registry import create_model
from trainer.options import LEVELS


def parser() -> argparse.ArgumentParser:
    """The options."""
    result = Parser(
        prog="python -m trainer.export",
        description="Write a trained model for other programs.",
        epilog="What a run's checkpoint says of model, methods and keep ratios takes the place of these defaults.",
    )
    add = result.add_argument
    add("--to", choices=TARGETS, default="safetensors", help="weights with timm's keys (default), accelerator, or ONNX")
    add("--weights", type=Path, required=True, help="a run's folder or checkpoint, .safetensors, .npz, or a torch file")
    add("--output", type=Path, required=True, help="file to write")
    add("--model", help="model that the weights belong to, by name; default: the run's")
    add_model_options(result)
    add("--level", choices=LEVELS, help="preset of the keep ratios; single ones given win")
    add("--token-keep", type=float, help="part of the tokens a selector keeps; default: 1")
    add("--attention-keep", type=float, help="part of the keys a query keeps; default: 1")
    add("--batch-size", type=int, default=1, help="images of the static ONNX shape; default: 1")
    add("--logits-only", action="store_true", help="leave kept tokens and keys out of the ONNX outputs")
    add("--hardware-config", default="zcu102", help="accelerator on which --to device is checked; default: zcu102")
    add("--seed", type=int, default=0, help="of the random images of the check; default: 0")
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Load, write, say what was checked."""
    options = parser().parse_args(arguments)
    if options.batch_size < 1:
        raise PeelVitError(f"--batch-size is {options.batch_size}; give 1 or more")
    path = find(options.weights)
    content = load_content(path)
    weights = weights_in(content, path)
    run = not_given(of_run(content, weights), _given(arguments))
    options = _parsed(arguments, run)
    if options.model is None:
        raise PeelVitError(f"{path} does not say of which model it is; give --model")
    if run:
        print(told(run, path))
    classes = options.num_classes or _classes(weights)
    model = create_model(options.model, **(model_arguments(options) | {"num_classes": classes}))
    fit(model, weights, path)
    print(TARGETS[options.to](model, options))


def _parsed(arguments: Sequence[str] | None, defaults: Mapping[str, Any]) -> argparse.Namespace:
    """All options, with these defaults in place of the parser's."""
    made = parser()
    made.set_defaults(**defaults)
    return made.parse_args(arguments)


def _given(arguments: Sequence[str] | None) -> dict[str, Any]:
    """The options on the command line only."""
    nothing = dict.fromkeys(vars(parser().parse_args(arguments)))
    return {name: value for name, value in vars(_parsed(arguments, nothing)).items() if value is not None}


def _classes(weights: Mapping[str, Tensor]) -> int | None:
    """Classes of the weights' classifier, by the last tensor whose name has to do with a head."""
    heads = [tensor for name, tensor in weights.items() if "head" in name.split(".", 1)[0]]
    return len(heads[-1]) if heads else None


def _keep(options: argparse.Namespace) -> Keep:
    _, tokens, attention = keep_triple(options.level, None, options.token_keep, options.attention_keep)
    return Keep(tokens, attention)


def _safetensors(model: ImageClassifier, options: argparse.Namespace) -> str:
    save_weights(options.output, model)
    same = all(tensor.equal(model.state_dict()[name]) for name, tensor in load_weights(options.output).items())
    if not same:
        options.output.unlink()
        raise PeelVitError(f"{options.output} did not read back as it was written and was deleted; check the disk")
    return f"wrote {options.output}: {len(model.state_dict())} tensors, read back equal"


def _device(model: ImageClassifier, options: argparse.Namespace) -> str:
    result = export_device(model, _keep(options), options.output, hardware=options.hardware_config, seed=options.seed)
    return (
        f"wrote {result.weights} and {result.options}: the accelerator's logits are within {result.logits.error:.2%} "
        f"of the float model's (cosine {result.logits.cosine:.6f})\n{result.command()}"
    )


def _onnx(model: ImageClassifier, options: argparse.Namespace) -> str:
    keep, config = _keep(options), model.config
    shape = (options.batch_size, config.channels, config.image_size, config.image_size)
    described = {"model": options.model, "token_keep": str(keep.tokens), "attention_keep": str(keep.attention)}
    result = export_onnx(
        model, keep, options.output, shape, metadata=described, logits_only=options.logits_only, seed=options.seed
    )
    return f"wrote {options.output}: in onnxruntime {result}"


TARGETS: dict[str, Callable[[ImageClassifier, argparse.Namespace], str]] = {
    "safetensors": _safetensors,
    "device": _device,
    "onnx": _onnx,
}

if __name__ == "__main__":
    run_main(main)
