"""A real ViT-S keeps its features in fixed point."""

from __future__ import annotations

from host.data.registry import default_data_dir
from sim.parity.real_weights import compare, pictures
from trainer.onnx_weights import fetch_vit_s


def test_features_of_a_real_vit_small_match_floating_point() -> None:
    errors = compare(fetch_vit_s(default_data_dir()), pictures(1, 224, seed=3))
    assert len(errors) == 12
    assert min(error.cosine for error in errors) > 0.999
