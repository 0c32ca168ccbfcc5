"""The demonstration from end to end, small: every run is a real one, on the toy accelerator."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sim.demo.demonstration import demonstrate
from sim.demo.recipe import Recipe
from sim.demo.report import RUNS, Metrics
from sim.demo.sequence import load_sequence

TINY = Recipe(
    "digits",
    "vit:image=8,patch=2,dim=16,depth=4,heads=2,mlp=32",
    train_images=80,
    eval_images=40,
    epochs=3,
    batch_size=8,
    select_before=(2, 3, 4),
    augment=True,
    example_remove=0.1,
    example_iterations=2,
    config="toy",
)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    demonstrate(TINY, folder)
    return folder


@pytest.fixture(scope="module")
def metrics(out: Path) -> Metrics:
    return json.loads((out / "metrics.json").read_text())


def test_says_what_was_trained_and_how_each_figure_is_known(metrics: Metrics) -> None:
    assert metrics["dataset"] == "digits"
    assert metrics["train_images"] == 80
    assert metrics["test_images"] == 40
    assert metrics["seconds"] > 0
    assert metrics["keep"] == {"examples": 0.9, "tokens": 0.7, "attention": 0.6}
    assert metrics["how"].keys() <= metrics.keys()


def test_holds_accuracies_and_curves_of_all_runs(metrics: Metrics) -> None:
    for name in RUNS:
        assert 0 <= metrics["test_accuracy"][name] <= 100
        curve = metrics["loss_curve"][name]
        assert len(curve["step"]) == len(curve["loss"]) > 2
    assert metrics["images_shown"] == {"dense": 240, "trilevel": 216, "fp32": 216}


def test_device_runs_have_saturations_and_modelled_times(metrics: Metrics) -> None:
    assert metrics["saturation_rate"].keys() == metrics["modelled_ms_per_image"].keys() == {"dense", "trilevel"}
    for milliseconds in metrics["modelled_ms_per_image"].values():
        assert all(milliseconds[kind] > 0 for kind in ("train", "train_mean", "inference"))


def test_examples_are_exchanged(metrics: Metrics) -> None:
    assert metrics["examples_exchanged"] == [8, 8]


def test_float_run_follows_the_device(metrics: Metrics) -> None:
    device, replayed = (metrics["loss_curve"][name] for name in ("trilevel", "fp32"))
    assert device["step"] == replayed["step"]
    np.testing.assert_allclose(device["loss"][:3], replayed["loss"][:3], rtol=0.02)


def test_dense_run_keeps_every_example(out: Path) -> None:
    options = json.loads((out / "dense" / "metrics.json").read_text())["options"]
    assert options["example_keep"] == options["token_keep"] == options["attention_keep"] == 1.0
    shown = load_sequence(out / "trilevel")
    assert all(len(np.unique(shown.of_epoch(epoch))) == 72 for epoch in range(3))


@pytest.mark.parametrize("name", ["learning_curves.png", "kept_tokens.png"])
def test_pictures_are_pictures(out: Path, name: str) -> None:
    with Image.open(out / name) as picture:
        assert picture.width > 500
        assert len(picture.getcolors(1 << 20) or ()) > 20


def test_a_second_demonstration_takes_the_place_of_the_first_and_gives_the_same(
    out: Path, metrics: Metrics, capsys: pytest.CaptureFixture[str]
) -> None:
    again = demonstrate(TINY, out)
    assert "overwriting the demonstration" in capsys.readouterr().out
    for name in ("test_accuracy", "test_loss", "loss_curve", "saturation_rate", "modelled_ms_per_image"):
        for run in ("dense", "trilevel"):
            assert again[name][run] == metrics[name][run]
