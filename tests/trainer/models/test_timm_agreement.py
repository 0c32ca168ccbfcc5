"""Our models beside timm's: names, shapes and logits, from fixtures that tools/timm_fixtures.py made with timm."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from tools.timm_fixtures import FOLDER, MODELS, PADDED_SWIN, formula_image, formula_tensor, formula_weights
from trainer.models.registry import create_model
from trainer.models.swin import SwinConfig, SwinTransformer

LARGE = {"deit_small_patch16_224", "deit_base_patch16_224", "swin_small_patch4_window7_224", "pit_s_224"}
"""Those with a smaller one of the same family."""
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in (*MODELS, "padded_swin")]


@cache
def shapes() -> dict[str, dict[str, list[int]]]:
    return json.loads((FOLDER / "timm_state.json").read_text())


def our_model(name: str) -> nn.Module:
    if name != "padded_swin":
        return create_model(name)
    size = PADDED_SWIN
    config = SwinConfig(
        name,
        size["img_size"],
        size["patch_size"],
        3,
        size["embed_dim"],
        size["depths"],
        size["num_heads"],
        size["window_size"],
        size["num_classes"],
    )
    return SwinTransformer(config)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_has_timms_tensors_and_computes_timms_logits(name: str) -> None:
    model = our_model(name).double().eval()
    state = model.state_dict()
    assert {key: list(tensor.shape) for key, tensor in state.items()} == shapes()[name]
    model.load_state_dict(formula_weights(state))
    with torch.no_grad(), np.load(FOLDER / "timm_logits.npz") as logits:
        ours = model(formula_image(PADDED_SWIN["img_size"] if name == "padded_swin" else 224)).logits[0].numpy()
        assert 0.5 < logits[name].std() < 2.0  # so that the bound below is a relative one
        np.testing.assert_allclose(ours, logits[name], rtol=0, atol=1e-5)


def test_formula_weights_are_the_same_everywhere() -> None:
    assert formula_tensor("head.weight", (2, 4)).ravel()[:3] == pytest.approx(HEAD_WEIGHTS)
    assert formula_tensor("norm.weight", (400,)).mean() == pytest.approx(1.0, abs=0.02)
    assert formula_tensor("norm.bias", (400,)).mean() == pytest.approx(0.0, abs=0.02)


HEAD_WEIGHTS = [0.22192948321, 0.00156149412, -0.06190559973]
