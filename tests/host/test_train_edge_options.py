"""Options: defaults, levels, what a resume compares; float weights and fresh ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from host.errors import PeelVitError
from host.float_weights import HEAD, fitted, load_float_weights, save_safetensors
from host.initialisation import initial_parameters
from host.model import parse_model
from host.options import LEVELS, MODES, Options, as_json, from_json, must_match, parse
from host.parameters import timm_shapes

MODEL = parse_model("vit:image=8,patch=4,dim=16,depth=2,heads=2,mlp=24,classes=5")


def test_given_options_are_the_only_ones() -> None:
    assert parse([]) == {}
    given = parse(["-b", "8", "--select-before", "2,3", "--sparsity-warmup", "0.5:2", "--resume", "runs/x"])
    assert given == {
        "batch_size": 8,
        "select_before": (2, 3),
        "sparsity_warmup": (0.5, 2.0),
        "resume": Path("runs/x"),
    }


@pytest.mark.parametrize("level", LEVELS)
def test_levels_set_all_three_ratios(level: str) -> None:
    options = Options(**parse(["--level", level]))
    assert (options.example_keep, options.token_keep, options.attention_keep) == LEVELS[level]


@pytest.mark.parametrize("arguments", ["--level 0.7 --token-keep 0.5", "--token-keep 0.5 --level 0.7"])
def test_a_ratio_of_its_own_wins_over_the_level(arguments: str) -> None:
    options = Options(**parse(arguments.split()))
    assert (options.example_keep, options.token_keep, options.attention_keep) == (0.9, 0.5, 0.6)


@pytest.mark.parametrize("name", ["--mode", "--exec_mode"])
@pytest.mark.parametrize("mode", MODES)
def test_modes(name: str, mode: str) -> None:
    assert parse([name, mode]) == {"mode": mode}


def test_options_survive_json() -> None:
    options = Options(data_dir=Path("d"), select_before=(2, 5), sparsity_warmup=(0.0, 1.5), lr=0.25)
    restored = Options(**from_json(json.loads(json.dumps(as_json(options)))))
    assert restored == options


@pytest.mark.parametrize("name, matches", [("lr", True), ("seed", True), ("backend", False), ("steps", False)])
def test_what_a_resume_compares(name: str, matches: bool) -> None:
    assert must_match(name) is matches


@pytest.mark.parametrize(
    "values",
    [{"lr": -1.0}, {"seed": -1}, {"momentum": 1.0}, {"smoothing": 1.0}, {"epochs": 0}, {"opt": "lamb"},
     {"weight_decay": float("inf")}, {"token_keep": float("nan")}, {"batch_size": 2, "grad_accum_steps": 3}],
    ids=str,
)  # fmt: skip
def test_impossible_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(PeelVitError):
        Options(**values)


def test_fresh_weights_differ_by_seed_and_tensor_alone() -> None:
    one, same, other = (initial_parameters(MODEL, seed) for seed in (1, 1, 2))
    assert {name: array.shape for name, array in one.items()} == timm_shapes(MODEL)
    for name, array in one.items():
        assert np.array_equal(array, same[name])
        if array.ndim > 1:
            assert not np.array_equal(array, other[name])
    larger = initial_parameters(parse_model("vit:image=8,patch=4,dim=16,depth=2,heads=2,mlp=24,classes=9"), 1)
    assert [name for name in one if not np.array_equal(one[name], larger[name])] == list(HEAD)


def test_fresh_weights_have_the_deviation_asked_for() -> None:
    matrix = initial_parameters(parse_model("vit_micro_patch4_32"), 0)["blocks.0.mlp.fc1.weight"]
    assert float(matrix.std()) == pytest.approx((2 / (5 * 96)) ** 0.5, rel=0.02)
    assert abs(float(matrix.mean())) < 1e-3


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module."])
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_float_weights_are_read(tmp_path: Path, prefix: str, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    weights, path = initial_parameters(MODEL, 3), tmp_path / f"weights{suffix}"
    named = {prefix + name: array for name, array in weights.items()}
    np.savez(path, **named) if suffix == ".npz" else save_file(named, path)
    state = fitted(MODEL, load_float_weights(path), weights)
    assert capsys.readouterr().out == f"{len(weights)} of {len(weights)} tensors mapped\n"
    assert all(np.array_equal(state[name], array) for name, array in weights.items())


def test_safetensors_that_others_read(tmp_path: Path) -> None:
    weights = initial_parameters(MODEL, 3)
    save_safetensors(tmp_path / "w.safetensors", weights)
    read = load_file(tmp_path / "w.safetensors")
    assert weights.keys() == read.keys()
    assert all(np.array_equal(read[name], array) for name, array in weights.items())


def test_a_head_of_other_classes_is_refused_or_made_anew(capsys: pytest.CaptureFixture[str]) -> None:
    ten = parse_model("vit:image=8,patch=4,dim=16,depth=2,heads=2,mlp=24,classes=10")
    weights, fresh = initial_parameters(MODEL, 3), initial_parameters(ten, 0)
    every = len(weights)
    with pytest.raises(PeelVitError, match=rf"^{every - 2} of {every} tensors mapped: head.(weight|bias) has shape"):
        fitted(ten, weights, fresh)
    assert capsys.readouterr().out == ""
    assert fitted(ten, weights, fresh, HEAD)["head.weight"] is fresh["head.weight"]


@pytest.mark.parametrize("name, content", [("a.npz", b"x"), ("a.safetensors", b"x" * 40), ("a.pth", b"x")])
def test_files_that_are_no_weights(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PeelVitError, match="save the weights"):
        load_float_weights(tmp_path / name)


@pytest.mark.parametrize("epochs, period", [(300, 30), (100, 10), (15, 2), (4, 1)])
def test_examples_are_exchanged_in_the_papers_part_of_the_run(epochs: int, period: int) -> None:
    assert Options(epochs=epochs).exchange_period == period
    assert Options(epochs=epochs, example_period=7).exchange_period == 7


def test_a_period_longer_than_the_run_is_refused() -> None:
    with pytest.raises(PeelVitError, match="--example-period is 4 in a run of 3 epochs, which would never exchange"):
        Options(epochs=3, example_keep=0.9, example_period=4)
    Options(epochs=3, example_keep=0.9, example_period=3)
    Options(epochs=3, example_keep=0.9, example_period=4, resume=Path("runs/x"))  # its epochs are not given here
