"""Strict import of timm state dicts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from host.errors import PeelVitError
from trainer.models.timm_state import load_timm_state
from trainer.models.vit import VisionTransformer, VitShape


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_every_tensor_is_loaded(
    toy_shape: Callable[..., VitShape], prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = VisionTransformer(toy_shape(), seed=1), VisionTransformer(toy_shape(), seed=2)
    load_timm_state(target, {prefix + name: tensor for name, tensor in source.state_dict().items()})
    assert capsys.readouterr().out == "56 of 56 tensors mapped\n"
    for name, tensor in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], tensor)


@pytest.mark.parametrize(
    "change, mapped, sentence",
    [
        (lambda s: s.pop("norm.bias"), 55, "norm.bias is missing"),
        (lambda s: [s.pop(name) for name in list(s) if "mlp" in name], 40, "and 13 more are missing"),
        (lambda s: s.update(dist_token=torch.zeros(1)), 56, "dist_token is not in the model"),
        (lambda s: s.update({"head.bias": torch.zeros(7)}), 55, r"head.bias is \[7\] where the model has \[5\]"),
        (lambda s: s.update({"head.bias": "x"}), 55, r"head.bias is str where the model has \[5\]"),
    ],
    ids=["missing", "many missing", "unknown", "shape", "no tensor"],
)
def test_a_mismatch_is_one_sentence_and_changes_nothing(
    toy_shape: Callable[..., VitShape],
    change: Callable[[dict[str, object]], object],
    mapped: int,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    state = dict(VisionTransformer(toy_shape(), seed=1).state_dict())
    change(state)
    target = VisionTransformer(toy_shape(), seed=2)
    with pytest.raises(PeelVitError, match=rf"\({mapped} of 56 tensors mapped\): .*{sentence}"):
        load_timm_state(target, state)
    assert capsys.readouterr().out == ""
    untouched = VisionTransformer(toy_shape(), seed=2).state_dict()
    assert all(torch.equal(tensor, untouched[name]) for name, tensor in target.state_dict().items())
