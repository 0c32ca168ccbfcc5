"""`python -m trainer.export`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from host.errors import PeelVitError
from trainer.engine import checkpoint
from trainer.export.__main__ import main
from trainer.models.registry import create_model

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
