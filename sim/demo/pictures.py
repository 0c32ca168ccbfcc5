"""The demonstration's two pictures: how the runs learned, and which patches of test images were kept."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from host.checkpoint import replaced_file

COLOURS = {"dense": "#4c72b0", "trilevel": "#c44e52", "fp32": "#333333"}
LABELS = {
    "dense": "dense, 16-bit, accelerator",
    "trilevel": "tri-level, 16-bit, accelerator",
    "fp32": "tri-level, fp32",
}

_SHADE = np.array([0.10, 0.14, 0.30])
_SHADED = 0.72
"""A pruned patch is this much dark blue; the rest is the image, so that dark things still show which patch is gone."""
_SMOOTHED_OVER = 1 / 12
"""Part of a run over which a drawn loss is averaged."""


@dataclass(frozen=True)
class Curve:
    """What one run wrote in its course: training images shown so far, and the loss of the step that ended there."""

    images: NDArray[np.float64]
    loss: NDArray[np.float64]
    milliseconds: NDArray[np.float64] | None = None
    """Modelled, of one training image."""


@dataclass(frozen=True)
class KeptExample:
    """One test image: uint8 [H, W, C], its class and the predicted one, and the surviving patches of each selector."""

    image: NDArray[np.uint8]
    label: str
    predicted: str
    kept: Sequence[NDArray[np.int64]]


def draw_learning_curves(path: Path, curves: Mapping[str, Curve], accuracy: Mapping[str, float], title: str) -> None:
    """The training loss of all runs over images shown, and the modelled time of an image in those on the device."""
    with _style():
        figure = Figure(figsize=(9.6, 4.2), layout="constrained")
        figure.suptitle(title, fontsize=11)
        loss, time = figure.subplots(1, 2, width_ratios=(3, 2))
        for name, curve in curves.items():
            style = {"color": COLOURS[name], "linestyle": ":" if name == "fp32" else "-", "linewidth": 1.8}
            loss.plot(*_smoothed(curve), label=f"{LABELS[name]}: {accuracy[name]:.1f} %", **style)
            if curve.milliseconds is not None:
                time.plot(curve.images, curve.milliseconds, label=LABELS[name], **style)
        loss.legend(title="run: accuracy on test images", frameon=False)
        _label(loss, "training loss", "cross-entropy (measured)")
        time.set_ylim(bottom=0)
        _label(time, "time of a training image on the board", "ms (modelled)")
        _save(figure, path, dpi=110)


def draw_kept_tokens(
    path: Path, examples: Sequence[KeptExample], patch: int, places: Sequence[int], title: str
) -> None:
    """A column a test image; its rows are the image and what each selector, before the blocks `places`, left of it."""
    rows, columns = 1 + len(places), len(examples)
    with _style():
        figure = Figure(
            figsize=(1.05 * columns + 1.5, 1.08 * rows + 1.15),
            layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.03, wspace=0.02, hspace=0.02),
        )
        figure.suptitle(title, fontsize=11)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes_of_image, example in zip(grid.T, examples, strict=True):
            _draw_example(axes_of_image, example, patch)
        total = (examples[0].image.shape[0] // patch) * (examples[0].image.shape[1] // patch)
        captions = ["image"]
        captions += [
            f"before block {place}:\n{kept.size} of {total} patches"
            for place, kept in zip(places, examples[0].kept, strict=True)
        ]
        for axes, caption in zip(grid[:, 0], captions, strict=True):
            axes.set_ylabel(caption, rotation=0, ha="right", va="center", fontsize=9)
        _save(figure, path, dpi=100)


def pruned_darkened(image: NDArray[np.uint8], kept: NDArray[np.int64], patch: int) -> NDArray[np.float64]:
    """`image` [H, W, C] as RGB in 0..1, [H, W, 3], with every patch that is not in `kept` darkened."""
    height, width = image.shape[0] // patch, image.shape[1] // patch
    shaded = np.full(height * width, _SHADED)
    shaded[kept] = 0.0
    shaded_HW1 = shaded.reshape(height, width).repeat(patch, 0).repeat(patch, 1)[:, :, None]
    return (1 - shaded_HW1) * (image / 255.0) + shaded_HW1 * _SHADE


def _draw_example(column: NDArray[Any], example: KeptExample, patch: int) -> None:
    image = _on_white(example.image)
    everything = np.arange((image.shape[0] // patch) * (image.shape[1] // patch))
    for axes, kept in zip(column, [everything, *example.kept], strict=True):
        axes.imshow(pruned_darkened(image, kept, patch), interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
    right = example.label == example.predicted
    below = "" if right else f"\nas {example.predicted}"
    column[0].set_title(f"{example.label}{below}", fontsize=8, color="black" if right else COLOURS["trilevel"])


def _on_white(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey images, which are bright on black, in negative: on black nobody sees that a patch is darkened."""
    return np.invert(image) if image.shape[2] == 1 else image


def _smoothed(curve: Curve) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Running means of the loss, each drawn at the middle of the images it is over."""
    width = max(1, round(_SMOOTHED_OVER * len(curve.loss)))
    window = np.full(width, 1 / width)
    return np.convolve(curve.images, window, "valid"), np.convolve(curve.loss, window, "valid")


def _label(axes: Axes, title: str, unit: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("training images shown")
    axes.set_ylabel(unit)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def _style() -> Any:
    return matplotlib.rc_context({"font.size": 9, "legend.fontsize": 9})


def _save(figure: Figure, path: Path, dpi: int) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, dpi=dpi, format="png", metadata={"Software": None})
    with replaced_file(path) as file:
        file.write(picture.getvalue())
