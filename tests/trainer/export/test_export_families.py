"""Every family of models as ONNX, dense and pruned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from trainer.export.onnx_model import LOGITS_TOLERANCE, export_onnx
from trainer.keep import DENSE, Keep
from trainer.models.lvvit import LvVisionTransformer, LvvitConfig
from trainer.models.pit import PitConfig, PoolingVisionTransformer
from trainer.models.registry import create_model
from trainer.models.swin import SwinConfig, SwinTransformer
from trainer.models.swin_tokens import WindowSelector


def swin() -> nn.Module:
    config = SwinConfig("toy", 12, 2, 3, 8, (3, 1), (2, 2), 3, 5)  # 6 x 6 tokens in 2 x 2 windows, every other shifted
    return SwinTransformer(config, WindowSelector([3], config.stages))


FAMILIES: dict[str, Callable[[], nn.Module]] = {
    "vit": lambda: create_model("vit:image=12,patch=4,dim=12,depth=2,heads=3,mlp=20,classes=5", select_before=(2,)),
    "swin": swin,
    "pit": lambda: PoolingVisionTransformer(PitConfig("toy", 12, 4, 2, 3, 8, (2, 1), (1, 2), 5, select_before=(2,))),
    "lvvit": lambda: LvVisionTransformer(LvvitConfig("toy", 12, 4, 3, 12, 2, 3, 20, 5, stem=4, select_before=(2,))),
}


CASES = [
    pytest.param(make, keep, id=f"{name}-{kind}", marks=[pytest.mark.slow] if kind == "dense" and name != "vit" else [])
    for name, make in FAMILIES.items()
    for kind, keep in {"dense": DENSE, "pruned": Keep(0.7, 0.6)}.items()
]
"""Pruned models contain the dense ones' layers, so dense exports of all families are left to `make test-all`."""


@pytest.mark.parametrize("make, keep", CASES)
def test_family(make: Callable[[], nn.Module], keep: Keep, tmp_path: Path) -> None:
    result = export_onnx(make(), keep, tmp_path / "model.onnx", (2, 3, 12, 12))
    assert result.largest_difference <= LOGITS_TOLERANCE
    assert bool(result.tokens) == bool(result.keys) == (not keep.is_dense)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
