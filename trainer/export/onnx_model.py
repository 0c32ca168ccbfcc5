"""A model as an ONNX file of static shapes, never left on the disk unless onnxruntime computes the same with it.

Token pruning becomes TopK and gathers, attention connections a mask scattered from TopK. The outputs are the logits and
what each selector chose: `kept.0`, `keys.0` and so on, as in `trainer.models.output.ModelOutput`; the keys of a query
come in no order.
"""

from __future__ import annotations

import importlib
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from host.errors import PeelVitError
from trainer.keep import KeepSetting
from trainer.models.base import ImageClassifier

LOGITS_TOLERANCE = 1e-4
"""Largest difference of a logit between torch and onnxruntime."""

INPUT = "images"
_PACKAGES = ("onnx", "onnxruntime", "onnxscript")


@dataclass(frozen=True)
class Comparison:
    """Torch against onnxruntime on random images.

    Attributes:
        largest_difference: of a logit.
        tokens, keys: indices compared of each; all of them were equal.
    """

    largest_difference: float
    tokens: int
    keys: int

    def __str__(self) -> str:
        return (
            f"logits differ by at most {self.largest_difference:.1e}; {self.tokens} kept-token indices and {self.keys} "
            "key indices are equal"
        )


def export_onnx(
    model: ImageClassifier,
    keep: KeepSetting,
    path: Path,
    image_shape: tuple[int, int, int, int],
    *,
    metadata: Mapping[str, str] | None = None,
    logits_only: bool = False,
    samples: int = 3,
    seed: int = 0,
) -> Comparison:
    """Write `model` at `keep` to `path` for images of `image_shape` [B, C, H, W], normalised float32.

    Arguments:
        model: in float32 on the CPU; it is put into evaluation mode.
        metadata: properties to write into the file.
        logits_only: leave the indices out of the outputs once they have been compared.
        samples: random batches, of `seed`, on which onnxruntime is compared with torch.

    Raises `PeelVitError`, and leaves no file, when a package is missing, when the model cannot be exported, or when the
    comparison fails.
    """
    _need_packages()
    flat = _Outputs(model, keep).eval()
    generator = torch.Generator().manual_seed(seed)
    batches = [torch.randn(image_shape, generator=generator) for _ in range(samples)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        made = Path(folder) / "model.onnx"
        names = _write(flat, batches[0], made)
        _finish(made, dict(metadata or {}), names)
        result = compare(flat, batches, made, path)
        if logits_only:
            _finish(made, {}, names[:1])
            compare(flat, batches, made, path)
        os.replace(made, path)
    return result


def compare(flat: _Outputs, batches: list[Tensor], made: Path, path: Path) -> Comparison:
    """Run `made` in onnxruntime and `flat` in torch; `PeelVitError` says how they differ, and that `path` is not there.

    Outputs that the file does not have are not compared.
    """
    session = _session(made)
    names = [output.name for output in session.get_outputs()]
    worst, counted = 0.0, {"kept": 0, "keys": 0}
    for images in batches:
        with torch.no_grad():
            wanted = dict(zip(flat.names(images), flat(images), strict=True))
        found = dict(zip(names, session.run(names, {INPUT: images.numpy()}), strict=True))
        worst = max(worst, _largest_difference(wanted.pop("logits"), found.pop("logits"), path))
        for name, indices in found.items():
            counted[name.split(".")[0]] += _equal(name, wanted[name].numpy(), indices, path)
    return Comparison(worst, counted["kept"], counted["keys"])


class _Outputs(nn.Module):
    """A model whose output is a flat tuple of tensors, as exporters want it."""

    def __init__(self, model: ImageClassifier, keep: KeepSetting) -> None:
        super().__init__()
        self.model, self.keep = model, keep

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits, kept patches of every selector, and keys of those that chose any."""
        output = self.model(images, self.keep)
        return (output.logits, *output.kept, *(keys for keys in output.keys if keys is not None))

    @torch.no_grad()
    def names(self, images: Tensor) -> list[str]:
        """Of what `forward` gives."""
        output = self.model(images[:1], self.keep)
        kept = [f"kept.{number}" for number in range(len(output.kept))]
        return ["logits", *kept, *(f"keys.{number}" for number, keys in enumerate(output.keys) if keys is not None)]


def _write(flat: _Outputs, images: Tensor, path: Path) -> list[str]:
    """Export to `path`; names of the outputs."""
    names = flat.names(images)
    try:
        with torch.no_grad(), _quiet():
            torch.onnx.export(
                flat,
                (images,),
                path,
                dynamo=True,
                verbose=False,
                external_data=False,
                input_names=[INPUT],
                output_names=names,
                custom_translation_table=_translations(),
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = " ".join(str(error.__cause__ or error).split())[:300]
        raise PeelVitError(
            f"this model cannot be written as ONNX ({reason}); export it with another token method"
        ) from error
    return names


def _translations() -> dict[Any, Callable[..., Any]]:
    """Sorting, which torch's exporter lacks: TopK puts the lower index first among equals, as a stable sort does."""
    from onnxscript import opset18 as op

    def sort(values: Any, *, stable: bool = False, dim: int = -1, descending: bool = False) -> Any:
        shape: Any = op.Shape(values)
        place: Any = op.Constant(value_ints=[dim])
        size = op.Gather(shape, place)
        return op.TopK(values, size, axis=dim, largest=int(descending), sorted=1)

    def sort_by_position(values: Any, dim: int = -1, descending: bool = False) -> Any:
        return sort(values, dim=dim, descending=descending)

    return {torch.ops.aten.sort.stable: sort, torch.ops.aten.sort.default: sort_by_position}


_TALKATIVE = ("torch.onnx._internal.exporter._registration", "onnxscript.optimizer._constant_folding")
"""They tell that torchvision is missing, and which constants stay unfolded."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter tells its own developers."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _finish(path: Path, metadata: dict[str, str], outputs: list[str]) -> None:
    """Add metadata to the file and leave it the `outputs` named."""
    import onnx

    model = onnx.load(path)
    for name, value in metadata.items():
        model.metadata_props.add(key=name, value=value)
    for output in [output for output in model.graph.output if output.name not in outputs]:
        model.graph.output.remove(output)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _largest_difference(wanted: Tensor, found: NDArray[np.float32], path: Path) -> float:
    difference = float(np.abs(wanted.numpy() - found).max())
    if not difference <= LOGITS_TOLERANCE:
        raise PeelVitError(
            f"onnxruntime's logits differ from torch's by {difference:.1e}, more than {LOGITS_TOLERANCE:.0e}, so "
            f"{path} was not kept; report the model with which that happens"
        )
    return difference


def _equal(name: str, wanted: NDArray[np.int64], found: NDArray[np.int64], path: Path) -> int:
    """The number of indices, all equal; kept patches ascend, keys have no order."""
    if name.startswith("keys"):
        wanted, found = np.sort(wanted), np.sort(found)
    different = int((wanted != found).sum())
    if different:
        raise PeelVitError(
            f"onnxruntime chose other indices than torch in {different} of {wanted.size} places of {name}, so {path} "
            "was not kept; weights with nearly equal attention do that: try another --seed"
        )
    return wanted.size


def _need_packages() -> None:
    for package in _PACKAGES:
        try:
            importlib.import_module(package)
        except ImportError:
            raise PeelVitError(
                f"ONNX export needs the package {package}; run `pip install {' '.join(_PACKAGES)}`"
            ) from None
