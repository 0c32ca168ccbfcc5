"""What the three runs came to: metrics.json and the table at the end."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sim.demo.pictures import Curve
from sim.demo.recipe import Recipe

RUNS = ("dense", "trilevel", "fp32")

HOW = {
    "seconds": "measured on this machine",
    "test_accuracy": "measured: percent of held-out images, computed on the device (fp32: by torch)",
    "test_loss": "measured: mean cross-entropy of held-out images",
    "loss_curve": "measured: mean cross-entropy of each logged step's training images",
    "saturation_rate": "measured: part of all stored fixed-point values that did not fit, in training",
    "examples_exchanged": "measured: training images that came back from outside the subset, by exchange",
    "modelled_ms_per_image": "modelled: cycles of the kernels' stated schedules at the configuration's clock",
    "device_memory_bytes": "planned: what the program takes of the board's memory, exactly",
}
"""How each figure is known."""

Metrics = dict[str, Any]


def read_metrics(folder: Path) -> Metrics:
    """metrics.json of one run."""
    content: Metrics = json.loads((folder / "metrics.json").read_text())
    return content


def read_curve(folder: Path, metrics: Metrics, batch: int) -> Curve:
    """The course of one run; modelled times where it ran on the device."""
    curve, path = metrics["loss_curve"], folder / "steps.csv"
    milliseconds = None
    if path.exists():
        rows = csv.DictReader(path.read_text().splitlines())
        milliseconds = np.array([float(row["modelled_ms_per_image"]) for row in rows])
    return Curve(np.array(curve["step"], np.float64) * batch, np.array(curve["loss"]), milliseconds)


def collect(recipe: Recipe, runs: Mapping[str, Metrics], exchanged: list[int], memory: int, seconds: float) -> Metrics:
    """What metrics.json of the demonstration holds."""
    on_device = {name: runs[name] for name in RUNS if name != "fp32"}
    return {
        "dataset": recipe.dataset,
        "model": recipe.model,
        "config": recipe.config,
        "backend": recipe.backend,
        "seed": recipe.seed,
        "train_images": recipe.train_images,
        "test_images": runs["trilevel"]["test_images"],
        "images_shown": {name: runs[name]["images_seen"] for name in RUNS},
        "seconds": seconds,
        "keep": dict(zip(("examples", "tokens", "attention"), recipe.keep, strict=True)),
        "select_before": list(recipe.select_before),
        "test_accuracy": {name: runs[name]["test_accuracy"] for name in RUNS},
        "test_loss": {name: runs[name]["test_loss"] for name in RUNS},
        "saturation_rate": {name: run["saturation_rate"] for name, run in on_device.items()},
        "modelled_ms_per_image": {name: run["modelled_ms_per_image"] for name, run in on_device.items()},
        "examples_exchanged": exchanged,
        "device_memory_bytes": memory,
        "loss_curve": {name: runs[name]["loss_curve"] for name in RUNS},
        "how": HOW,
    }


def table(metrics: Metrics) -> str:
    """The figures for people, each with how it is known."""
    milliseconds = metrics["modelled_ms_per_image"]

    def each(values: Mapping[str, float | None], form: str) -> list[str]:
        return ["-" if values.get(name) is None else form.format(values[name]) for name in RUNS]

    def time(kind: str) -> list[str]:
        return each({name: milliseconds[name][kind] for name in milliseconds}, "{:.3f}")

    last_loss = {name: float(np.mean(metrics["loss_curve"][name]["loss"][-20:])) for name in RUNS}
    rows = [
        ["", "dense", "tri-level", "fp32", "known how"],
        [f"accuracy on {metrics['test_images']} test images, %", *each(metrics["test_accuracy"], "{:.2f}"), "measured"],
        ["loss on them", *each(metrics["test_loss"], "{:.3f}"), "measured"],
        ["training loss at the end", *each(last_loss, "{:.3f}"), "measured"],
        ["training images shown", *each(metrics["images_shown"], "{:,}"), "measured"],
        ["values saturated, of all stored", *each(metrics["saturation_rate"], "{:.1e}"), "measured"],
        ["ms an image, training, at the end", *time("train"), "modelled"],
        ["ms an image, training, mean", *time("train_mean"), "modelled"],
        ["ms an image, inference", *time("inference"), "modelled"],
    ]
    return _aligned(rows)


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(_cell(text, i, w) for i, (text, w) in enumerate(zip(row, widths, strict=True))) for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _cell(text: str, index: int, width: int) -> str:
    return text.rjust(width) if 0 < index <= len(RUNS) else text.ljust(width)
