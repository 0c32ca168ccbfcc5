"""Export to the accelerator: weights and options from which the host makes the same model."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hls.spec.config import load
from host.errors import PeelVitError
from host.job import model_of, starting_weights
from host.model import ViTConfig
from host.options import Options, from_json
from host.runtime import Session, SessionOptions
from sim.golden.device import GoldenDevice
from sim.workload import random_batch
from trainer.export import device
from trainer.export.device import export_device, model_string
from trainer.keep import DENSE, Keep
from trainer.models.registry import VITS, create_model

TOY = "vit:image=8,patch=2,channels=1,dim=16,depth=3,heads=2,mlp=32,classes=4"
PRUNED = Keep(0.7, 0.5)


def toy(**arguments: Any) -> torch.nn.Module:
    model = create_model(TOY, in_chans=1, **({"select_before": (2, 3)} | arguments))
    with torch.no_grad():  # larger than fresh weights, so that attention is not all alike
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)
    return model


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("keep", [DENSE, PRUNED], ids=["dense", "pruned"])
def test_the_host_makes_the_same_model_of_it(keep: Keep, suffix: str, tmp_path: Path) -> None:
    model = toy()
    result = export_device(model, keep, tmp_path / f"toy{suffix}", hardware="toy")
    assert result.logits.passes
    options = Options(**from_json(json.loads(result.options.read_text())))
    config = model_of(options, classes=4, channels=1)
    assert config == model.config
    weights = starting_weights(options, config)
    assert all(np.array_equal(weights[name], tensor.numpy()) for name, tensor in model.state_dict().items())
    patches = random_batch(config, 4, seed=1).patches
    session = Session(GoldenDevice(load("toy")), config, options.sparsity, SessionOptions(2, training=False))
    with closing(session):
        session.load_parameters(weights)
        session.calibrate(patches)
        logits = session.logits(patches)
        assert session.plan == options.sparsity.plan(config)
    floating = model.double().eval()(torch.from_numpy(patches * 2.0**-device.INPUT_FRACTION), keep)
    assert len(floating.kept) == (0 if keep.is_dense else 2)
    np.testing.assert_allclose(
        logits, floating.logits.detach().numpy(), atol=0.02 * float(floating.logits.detach().abs().max())
    )


@pytest.mark.parametrize("name", VITS)
def test_models_are_told_as_the_host_understands(name: str) -> None:
    wanted = VITS[name]
    told = model_of(Options(model=model_string(wanted)), classes=wanted.classes, channels=wanted.channels)
    assert ViTConfig(**(vars(told) | {"name": name})) == wanted


def test_the_command_line_is_understood(tmp_path: Path) -> None:
    result = export_device(toy(), PRUNED, tmp_path / "toy.npz", hardware="toy")
    command = result.command()
    assert command.startswith("python3 host/train_edge.py --mode eval --model vit:image=8,patch=2")
    assert "--token-keep 0.7 --attention-keep 0.5 --select-before 2,3" in command


@pytest.mark.parametrize(
    "arguments, keep, sentence",
    [
        ({"placement": "inside"}, PRUNED, "before blocks"),
        ({"method_options": {"fused_token": True}}, PRUNED, "fused token"),
    ],
)
def test_what_the_accelerator_cannot_is_refused(
    arguments: dict[str, Any], keep: Keep, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(PeelVitError, match=sentence):
        export_device(toy(**arguments), keep, tmp_path / "toy.npz", hardware="toy")
    assert not list(tmp_path.iterdir())


def test_other_families_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PeelVitError, match="plain ViTs"):
        export_device(create_model("pit_micro_32"), DENSE, tmp_path / "pit.npz")


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PeelVitError, match=r"neither \.npz nor"):
        export_device(toy(), DENSE, tmp_path / "toy.pth")


def test_other_logits_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "likeness", lambda *_: device.Likeness(0.5, 0.5))
    with pytest.raises(PeelVitError, match=r"differ .* was not written"):
        export_device(toy(), DENSE, tmp_path / "toy.npz", hardware="toy")
    assert not list(tmp_path.iterdir())
