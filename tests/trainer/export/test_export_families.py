"""Every family of models as ONNX, dense and pruned, and the attention methods."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from trainer.export.onnx_model import LOGITS_TOLERANCE, export_onnx
from trainer.keep import DENSE, Keep
from trainer.models.base import ImageClassifier
from trainer.models.lvvit import LvVisionTransformer, LvvitConfig
from trainer.models.pit import PitConfig, PoolingVisionTransformer
from trainer.models.registry import create_model
from trainer.models.swin import SwinConfig, SwinTransformer
from trainer.models.swin_tokens import WindowSelector


def swin() -> ImageClassifier:
    config = SwinConfig("toy", 12, 2, 3, 8, (3, 1), (2, 2), 3, 5)  # 6 x 6 tokens in 2 x 2 windows, every other shifted
    return SwinTransformer(config, WindowSelector([3], config.stages))


def vit(attention_method: str = "selected") -> ImageClassifier:
    name = "vit:image=12,patch=4,dim=12,depth=2,heads=3,mlp=20,classes=5"
    return create_model(name, select_before=(2,), attention_method=attention_method)


PRUNED = Keep(0.7, 0.6)

FAMILIES: dict[str, Callable[[], ImageClassifier]] = {
    "vit": vit,
    "swin": swin,
    "pit": lambda: PoolingVisionTransformer(PitConfig("toy", 12, 4, 2, 3, 8, (2, 1), (1, 2), 5, select_before=(2,))),
    "lvvit": lambda: LvVisionTransformer(LvvitConfig("toy", 12, 4, 3, 12, 2, 3, 20, 5, stem=4, select_before=(2,))),
}


CASES = [
    pytest.param(make, keep, id=f"{name}-{kind}", marks=[pytest.mark.slow] if kind == "dense" and name != "vit" else [])
    for name, make in FAMILIES.items()
    for kind, keep in {"dense": DENSE, "pruned": PRUNED}.items()
    if (name, kind) != ("vit", "pruned")
]
"""Pruned models contain the dense ones' layers, so dense exports of all families are left to `make test-all`. The
pruned ViT is that of `test_export_onnx.py`."""


@pytest.mark.parametrize("make, keep", CASES)
def test_family(make: Callable[[], ImageClassifier], keep: Keep, tmp_path: Path) -> None:
    result = export_onnx(make(), keep, tmp_path / "model.onnx", (2, 3, 12, 12))
    assert result.largest_difference <= LOGITS_TOLERANCE
    assert bool(result.tokens) == bool(result.keys) == (not keep.is_dense)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("method, lists_keys", [("magnitude", False), ("longformer", True)])
def test_attention_method(method: str, lists_keys: bool, tmp_path: Path) -> None:
    result = export_onnx(vit(method), PRUNED, tmp_path / "model.onnx", (2, 3, 12, 12))
    assert result.tokens
    assert bool(result.keys) == lists_keys
