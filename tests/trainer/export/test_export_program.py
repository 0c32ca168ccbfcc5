"""`python -m trainer.export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from host.errors import PeelVitError
from trainer.engine import checkpoint
from trainer.export.__main__ import TARGETS, main
from trainer.models.registry import create_model
from trainer.options import parse
from trainer.train import train

TOY = "vit:image=8,patch=4,dim=16,depth=2,heads=2,mlp=32,classes=4"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_file(create_model(TOY, seed=5).state_dict(), path)
    return path


def arguments(weights: Path, output: Path, *more: str) -> list[str]:
    return ["--model", TOY, "--weights", str(weights), "--output", str(output), *more]


def test_a_runs_checkpoint_becomes_safetensors_with_timms_keys(tmp_path: Path) -> None:
    state = create_model("lvvit_micro_patch4_32", num_classes=6, seed=5).state_dict()
    checkpoint.save(tmp_path / checkpoint.NAME, {"model": state})
    output = tmp_path / "out" / "model.safetensors"
    main(["--model", "lvvit_micro_patch4_32", "--weights", str(tmp_path), "--output", str(output)])
    written = load_file(output)
    assert written.keys() == state.keys()
    assert all(tensor.equal(state[name]) for name, tensor in written.items())


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on grey images, sparse, with selectors of its own and a method option."""
    folder = tmp_path_factory.mktemp("runs") / "grey"
    model = "vit:image=8,patch=2,dim=16,depth=4,heads=2,mlp=32"
    small = f"--dataset digits --model {model} --train-images 64 --eval-images 20 --epochs 1 -b 32 --no-progress"
    sparse = "--select-before 2,3 --token-keep 0.7 --attention-keep 0.6 --selector-placement inside"
    train(parse([*small.split(), *sparse.split(), "--method-option", "fused_token=true", "--output", str(folder)]))
    return folder


def exported(run_folder: Path, output: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> tuple[Any, Any]:
    """The model and the options with which a target is called."""
    seen: list[Any] = []
    monkeypatch.setitem(TARGETS, "onnx", lambda *both: seen.extend(both) or "written")
    main(["--to", "onnx", "--weights", str(run_folder), "--output", str(output), *more])
    return seen[0], seen[1]


@pytest.mark.parametrize("name", ["", checkpoint.NAME, "checkpoint-0.pt"])
def test_a_runs_settings_are_taken_from_it(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    capsys.readouterr()
    model, options = exported(run_folder / name, tmp_path / "out.onnx", monkeypatch)
    method = model.token_method
    assert (model.config.channels, model.config.classes, model.config.image_size) == (1, 10, 8)
    assert (method.name, tuple(method.places), method.placement, method.fused_token) == (
        "trilevel", (2, 3), "inside", True
    )  # fmt: skip
    assert (options.token_keep, options.attention_keep) == (0.7, 0.6)
    saved = checkpoint.load(run_folder / checkpoint.NAME)["model"]
    assert all(tensor.equal(saved[key]) for key, tensor in model.state_dict().items())
    told, *rest = capsys.readouterr().out.splitlines()
    assert told.startswith(f"from {run_folder / (name or checkpoint.NAME)}: --model vit:image=8")
    for words in ("--num-classes 10", "--in-chans 1", "--select-before 2,3", "--method-option fused_token=True"):
        assert words in told
    assert rest == [f"{len(saved)} of {len(saved)} tensors mapped", "written"]


@pytest.mark.parametrize(
    "given, wanted",
    [
        ("--token-keep 0.5", {"token_keep": 0.5, "attention_keep": 0.6, "select_before": (2, 3)}),
        ("--level trilevel_0.8", {"token_keep": None, "attention_keep": None, "level": "trilevel_0.8"}),
        ("--select-before 3 --seed 4", {"select_before": (3,), "token_keep": 0.7, "seed": 4}),
        ("--token-method trilevel", {"method_option": [("fused_token", True)]}),
        ("--token-method static --selector-placement before", {"method_option": [], "token_method": "static"}),
        ("--method-option fused_token=false", {"method_option": [("fused_token", False)]}),
    ],
)
def test_the_command_line_wins_over_the_run(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, wanted: dict[str, Any]
) -> None:
    _, options = exported(run_folder, tmp_path / "out.onnx", monkeypatch, *given.split())
    assert {name: getattr(options, name) for name in wanted} == wanted


def test_a_grey_run_goes_to_every_target(run_folder: Path, tmp_path: Path) -> None:
    plain = ["--selector-placement", "before", "--method-option", "fused_token=false", "--hardware-config", "toy"]
    for target, name in (("device", "e.npz"), ("onnx", "m.onnx"), ("safetensors", "m.safetensors")):
        more = plain if target == "device" else []
        main(["--to", target, "--weights", str(run_folder), "--output", str(tmp_path / name), *more])
    edge = json.loads((tmp_path / "e.json").read_text())
    assert (edge["token_keep"], edge["attention_keep"], edge["select_before"]) == (0.7, 0.6, [2, 3])
    assert {path.name for path in tmp_path.iterdir()} == {"e.npz", "e.json", "m.onnx", "m.safetensors"}


def test_bare_weights_do_not_say_of_which_model_they_are(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(PeelVitError, match=r"does not say of which model it is; give --model"):
        main(["--weights", str(weights), "--output", str(tmp_path / "out.onnx"), "--to", "onnx"])


def test_every_target(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(arguments(weights, tmp_path / "edge.npz", "--to", "device", "--hardware-config", "toy"))
    main(arguments(weights, tmp_path / "model.onnx", "--to", "onnx", "--select-before", "2", "--level", "trilevel_0.7"))
    printed = capsys.readouterr().out
    assert "host/train_edge.py" in printed
    assert "kept-token indices" in printed
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "edge.npz", "edge.json", "model.onnx"}


@pytest.mark.parametrize(
    "more, sentence",
    [
        (["--to", "paper"], "--help"),
        (["--batch-size", "0"], "--batch-size is 0"),
        (["--to", "onnx", "--token-keep", "3"], "keep ratio"),
        (["--num-classes", "9"], "4 classes"),
    ],
)
def test_mistakes_are_one_sentence(more: list[str], sentence: str, weights: Path, tmp_path: Path) -> None:
    with pytest.raises(PeelVitError, match=sentence):
        main(arguments(weights, tmp_path / "out.onnx", *more))
    assert not (tmp_path / "out.onnx").exists()


def test_weights_of_another_model(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(PeelVitError, match="do not fit"):
        main(arguments(tmp_path / "other.pth", tmp_path / "out.safetensors"))
