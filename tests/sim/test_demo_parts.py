"""Parts of the demonstration: its folder, the sequence, children, pictures, weights, options."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host.errors import PeelVitError
from host.model import Sparsity, parse_model
from host.options import Options, parse
from host.results import StepResult
from host.training import Step
from sim.demo.children import ROOT, Children
from sim.demo.folder import MARK, prepare_folder
from sim.demo.kept import first_of_each_class
from sim.demo.pictures import pruned_darkened
from sim.demo.recipe import RECIPES
from sim.demo.sequence import Recorder, Sequence, load_sequence, save_sequence
from sim.demo.weights import short_run_weights

FASHION = RECIPES["fashion_mnist"]
RESULT = StepResult(np.zeros(2), np.zeros(2, bool), np.zeros(2, np.int64), np.zeros(2), 0, 0)


def sequence_of(*epochs: list[list[int]]) -> Sequence:
    """A sequence of steps by epoch."""
    recorder, number = Recorder(), 0
    for epoch, steps in enumerate(epochs):
        for examples in steps:
            number += 1
            recorder(Step(number, epoch, np.array(examples), 0.1 / number, Sparsity(0.5, 0.25), RESULT))
    return recorder.sequence()


def test_sequence_survives_the_disk(tmp_path: Path) -> None:
    sequence = sequence_of([[3, 1], [2, 5]], [[7, 2], [1, 8]])
    save_sequence(tmp_path, sequence)
    loaded = load_sequence(tmp_path)
    assert vars(loaded).keys() == vars(sequence).keys()
    for name, array in vars(sequence).items():
        np.testing.assert_array_equal(getattr(loaded, name), array)


def test_sequence_knows_order_and_newcomers_of_an_epoch() -> None:
    sequence = sequence_of([[3, 1], [2, 5]], [[7, 2], [1, 8]], [[1, 2], [8, 7]])
    assert sequence.of_epoch(1).tolist() == [7, 2, 1, 8]
    assert sequence.newcomers() == [2, 0]


def test_sequence_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PeelVitError, match=r"there is no .*sequence\.npz"):
        load_sequence(tmp_path)


def test_folder_is_made_and_marked(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "a" / "b", FASHION)
    assert (tmp_path / "a" / "b" / MARK).exists()


def test_folder_of_a_demonstration_is_emptied_of_it_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare_folder(tmp_path, FASHION)
    (tmp_path / "dense").mkdir()
    (tmp_path / "dense" / "checkpoint.npz").touch()
    (tmp_path / "metrics.json").touch()
    (tmp_path / "notes.txt").touch()
    prepare_folder(tmp_path, FASHION)
    assert sorted(path.name for path in tmp_path.iterdir()) == [MARK, "notes.txt"]
    assert capsys.readouterr().out == f"overwriting the demonstration in {tmp_path}\n"


def test_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").touch()
    with pytest.raises(PeelVitError, match="something else"):
        prepare_folder(tmp_path, FASHION)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(PeelVitError, match="cannot write"):
        prepare_folder(tmp_path / "out", FASHION)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_recipes_are_options_of_train_edge_with_all_three_levels(recipe) -> None:
    options = Options(**parse(recipe.arguments(Path("weights.npz"), Path("out"))))
    assert (options.example_keep, options.token_keep, options.attention_keep) == (0.9, 0.7, 0.6)
    subset = round(options.train_images * options.example_keep)
    assert subset % options.images_per_step == 0
    model = parse_model(options.model, classes=10)
    assert len(options.sparsity.plan(model).selectors) == 3
    dense = Options(**parse(recipe.dense().arguments(Path("weights.npz"), Path("out"))))
    assert (dense.example_keep, dense.token_keep, dense.attention_keep) == (1.0, 1.0, 1.0)


def test_weights_keep_the_size_of_signals() -> None:
    model = parse_model(FASHION.model, classes=10, channels=1)
    weights = short_run_weights(model, 0)
    x = np.random.default_rng(0).normal(size=(500, model.patch_features))
    embedded = x @ weights["patch_embed.proj.weight"].reshape(model.dim, -1).T
    assert 0.5 < embedded.std() < 2
    assert 0.3 < weights["pos_embed"].std() / embedded.std() < 1
    assert not weights["head.bias"].any()


def test_pruned_patches_are_darker_and_kept_ones_as_they_were() -> None:
    image = np.full((4, 6, 1), 255, np.uint8)
    shown = pruned_darkened(image, np.array([1, 3]), 2)
    assert shown.shape == (4, 6, 3)
    bright = (shown == 1).all(axis=2)
    assert bright[:2, 2:4].all()
    assert bright[2:, :2].all()
    assert bright.sum() == 8
    assert shown[~bright].max() < 0.5


def test_first_of_each_class_comes_from_the_pool() -> None:
    labels = np.array([2, 0, 1, 0, 2, 1])
    assert first_of_each_class(labels, np.array([1, 3, 4, 5])).tolist() == [1, 5, 4]


def test_child_that_fails_says_its_own_sentence_and_ends_the_others(tmp_path: Path) -> None:
    sleeper = "import time; time.sleep(600)"
    failing = "import sys; print('error: no such luck; try again', file=sys.stderr); sys.exit(2)"
    children = Children()
    good = children.start("good", ["-c", sleeper], tmp_path / "good.txt")
    children.start("bad", ["-c", failing], tmp_path / "bad.txt")
    with pytest.raises(PeelVitError, match=r"^bad: no such luck; try again$"), children:
        children.wait(good)
    assert not good.running


def test_child_that_breaks_names_its_log(tmp_path: Path) -> None:
    with pytest.raises(PeelVitError, match=r"exit code 1\); see .*log.txt"), Children() as children:
        children.wait(children.start("bad", ["-c", "1 / 0"], tmp_path / "log.txt"))


def test_interruption_while_a_child_starts_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is known to be there."""
    started: list[subprocess.Popen[bytes]] = []

    class Interrupted(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), Children() as children:
            children.start("child", ["-c", "import time; time.sleep(600)"])
    finally:
        signal.signal(signal.SIGINT, before)
    assert started[0].poll() is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demonstration_ends_its_children(tmp_path: Path, number: signal.Signals) -> None:
    program = """
import signal, sys
from host.errors import run_main
from sim.demo.children import Children
def main():
    for number in (signal.SIGTERM, signal.SIGINT):  # a job in a shell's background inherits an ignored SIGINT
        signal.signal(number, signal.default_int_handler)
    with Children() as children:
        child = children.start("child", ["-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"])
        children.wait(child)
run_main(main)
"""
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.send_signal(number)
    process.communicate()
    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--epochs", "0"], "error: --epochs is 0; give 1 or more\n"),
        (["--data-dir", "/dev/null/data"], "error: cannot use the data folder /dev/null/data"),
    ],
)
def test_errors_are_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    command = [sys.executable, "-m", "sim.demo", "--out", str(tmp_path / "out"), *arguments]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr.startswith(sentence)
    assert run.stderr.count("\n") == 1
