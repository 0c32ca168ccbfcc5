"""MACs of ViT: as the compiled program of the accelerator, and as published."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

import pytest

from hls.spec.config import HardwareConfig, load
from host.compiler.program import compile_program
from host.layout import plan_layout
from host.model import Sparsity, TokenPlan, ViTConfig, dense_plan, parse_model
from host.tensors import Use
from sim.macs import macs
from trainer.cost.layer import Layer, rows_of, total_macs
from trainer.cost.vit import ViTCost, device_layers

MODELS = {
    "toy": parse_model("vit:image=12,patch=4,dim=12,depth=6,heads=3,mlp=20,classes=5"),
    "deit_tiny": parse_model("deit_tiny_patch16_224"),
    "micro": parse_model("vit_micro_patch4_32"),
}
PLANS = {"dense": Sparsity(), "tokens": Sparsity(0.7, 1.0), "keys": Sparsity(1.0, 0.3), "both": Sparsity(0.8, 0.5)}


@cache
def zcu102() -> HardwareConfig:
    return load("zcu102")


def compiled(model: ViTConfig, plan: TokenPlan, batch: int, training: bool) -> Counter[tuple[str, str]]:
    """MACs of the host's program by (layer, op)."""
    layout = plan_layout(zcu102(), model, Use(batch, training, selectors=plan.selectors))
    program = compile_program(layout, plan, mode="train" if training else "eval")
    counted: Counter[tuple[str, str]] = Counter()
    for name, instruction in zip(program.names, program.instructions, strict=True):
        layer = re.sub(r"\[\d]", "", name.split(" ")[0])
        counted[layer, instruction.op.name] += macs(instruction)
    return +counted


def dense_layers(model: ViTConfig) -> list[Layer]:
    cost = ViTCost(model)
    return list(cost.layers(cost.flow()))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("sparsity", PLANS.values(), ids=PLANS.keys())
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_device_layers_are_the_compiled_program(model: ViTConfig, sparsity: Sparsity, training: bool) -> None:
    plan = sparsity.plan(model)
    rows = rows_of(device_layers(model, plan, batch=2), backward=training, recompute=False)
    assert Counter({(row.layer, row.op): row.macs for row in rows}) == compiled(model, plan, 2, training)


@pytest.mark.parametrize("width, heads, published", [(192, 3, 1.254), (384, 6, 4.599), (768, 12, 17.56)])
def test_published_dense_macs(width: int, heads: int, published: float) -> None:
    model = ViTConfig("deit", 224, 16, 3, width, 12, heads, 4 * width, 1000)
    count = total_macs(dense_layers(model), backward=False)
    assert count / 1e9 == pytest.approx(published, abs=0.005)


def test_float_model_computes_all_rows_of_the_last_block() -> None:
    model = MODELS["deit_tiny"]
    floating = total_macs(dense_layers(model), backward=False)
    device = total_macs(device_layers(model, dense_plan(model)), backward=False)
    saved_rows, dim = model.patches, model.dim
    assert floating - device == saved_rows * (dim * dim + 2 * dim * model.mlp_hidden + 2 * (1 + model.patches) * dim)


def test_training_is_three_forward_passes_less_the_gradient_of_the_images() -> None:
    model = MODELS["micro"]
    rows = list(rows_of(dense_layers(model), backward=True))
    forward = sum(row.macs for row in rows if row.work == "forward")
    embedding = next(row.macs for row in rows if row.layer == "patch_embed.proj")
    assert sum(row.macs for row in rows) == 3 * forward - embedding


def test_recomputed_probabilities_are_one_product_more() -> None:
    layers = list(dense_layers(MODELS["micro"]))
    stored, again = (total_macs(layers, backward=True, recompute=flag) for flag in (False, True))
    forward = sum(row.macs for row in rows_of(layers, backward=False) if row.op == "attention")
    assert again - stored == forward // 2
