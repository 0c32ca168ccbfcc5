"""What a cost description says a model computes is what the model computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from trainer.cost.architectures import describe, described
from trainer.cost.methods import FLOWS
from trainer.cost.model import StepCost
from trainer.cost.paper import TABLE_1
from trainer.keep import DENSE, Keep
from trainer.models.registry import create_model, model_names
from trainer.tokens.registry import TOKEN_METHODS

TOY = "vit:image=12,patch=4,dim=12,depth=6,heads=3,mlp=20,classes=5"
FAMILIES = (TOY, "swin_micro_patch2_window4_32", "pit_micro_32", "lvvit_micro_patch4_32")


class Counted(TorchFunctionMode):
    """Counts the MACs of linear layers, convolutions and attention as they are called."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = self.attention = 0

    def __torch_function__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if function is functional.linear:
            self.linear += result.numel() * args[1].shape[1]
        elif function is torch.conv2d:
            self.linear += result.numel() * args[1][0].numel()
        elif function is functional.scaled_dot_product_attention:
            query, key = args[:2]
            self.attention += 2 * query.numel() * key.shape[-2]
        return result


def computed(name: str, keep: Keep, training: bool = False, **arguments: Any) -> tuple[int, int]:
    """MACs of one image's forward pass: those of linear layers and convolutions, and those of fused attention."""
    model = create_model(name, **arguments).train(training)
    size = model.config.image_size
    with torch.no_grad(), Counted() as counted:
        model(torch.zeros(2, 3, size, size), keep)
    return counted.linear // 2, counted.attention // 2


def modelled(name: str, keep: Keep, training: bool = False, **arguments: Any) -> tuple[int, int]:
    """The same by the description, without a teacher's."""
    rows = StepCost(describe(name, **arguments), training, backward=False).rows(keep)
    own = [row for row in rows if not row.layer.startswith("teacher.")]
    attention = sum(row.macs for row in own if row.op == "attention")
    return sum(row.macs for row in own) - attention, attention


@pytest.mark.parametrize("keep", [DENSE, Keep(0.9), Keep(0.5)], ids=str)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_computes_what_its_description_says(name: str, keep: Keep) -> None:
    assert modelled(name, keep) == computed(name, keep)


@pytest.mark.parametrize(
    "arguments",
    [
        {"placement": "inside"},
        {"method_options": {"fused_token": True}},
        {"method_options": {"fused_token": True}, "placement": "inside"},
        {"select_before": (2, 3)},
        {"num_classes": 7, "img_size": 20},
        {"token_method": "dense"},
    ],
    ids=str,
)
def test_arguments_of_the_selector(arguments: dict[str, Any]) -> None:
    keep = DENSE if arguments.get("token_method") == "dense" else Keep(0.6)
    assert modelled(TOY, keep, **arguments) == computed(TOY, keep, **arguments)


@pytest.mark.parametrize("name", FAMILIES)
def test_attention_keeps_only_its_connections(name: str) -> None:
    """Counted are the connections that stay, also where masking all of them is faster."""
    (linear, both), (_, tokens) = modelled(name, Keep(0.6, 0.4)), modelled(name, Keep(0.6))
    assert both < tokens
    assert linear == computed(name, Keep(0.6, 0.4))[0]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("method", [name for name in FLOWS if name != "ia_red2"])
@pytest.mark.parametrize("name, keep", [(TOY, Keep(0.7)), (TOY, DENSE), ("lvvit_micro_patch4_32", Keep(0.7))], ids=str)
def test_token_methods_compute_what_their_flow_says(name: str, keep: Keep, method: str, training: bool) -> None:
    if method == "dense":
        keep = DENSE
    (linear, attention), found = (count(name, keep, training, token_method=method) for count in (modelled, computed))
    assert linear == found[0]
    if not (method == "dynamic_vit" and training):  # which weighs keys by decisions and cannot be fused
        assert attention == found[1]


def test_interpreters_of_ia_red2() -> None:
    """Its evaluation drops as many patches as the images deserve: at most nothing."""
    dense, training = modelled(TOY, DENSE), modelled(TOY, Keep(0.7), True, token_method="ia_red2")
    assert training == computed(TOY, Keep(0.7), True, token_method="ia_red2")
    patches, width = 9, 12  # of the one place that a model of six blocks has
    assert training[0] - dense[0] == (patches + 1) * width**2
    assert modelled(TOY, Keep(0.7), token_method="ia_red2") == training


def test_training_costs_of_methods() -> None:
    """DynamicViT masks and has a teacher, magnitude computes all scores: neither saves anything in training."""

    def cost(keep: Keep, **arguments: Any) -> int:
        return StepCost(describe(TOY, **arguments))(keep)

    dense = cost(DENSE)
    teacher = StepCost(describe(TOY), backward=False)(DENSE)
    assert cost(Keep(0.7), token_method="dynamic_vit") > dense + teacher
    distilled, alone = (
        cost(Keep(0.7), token_method="dynamic_vit", method_options={"distil": distil}) for distil in (True, False)
    )
    assert distilled - alone == teacher
    assert cost(Keep(1.0, 0.5), attention_method="magnitude") == dense
    assert cost(Keep(1.0, 0.5), attention_method="longformer") == cost(Keep(1.0, 0.5)) < dense
    assert cost(Keep(0.7), token_method="patch_dropout") < cost(Keep(0.7)) < dense


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["swin_micro_patch2_window4_32", "pit_micro_32"])
def test_patch_dropout_elsewhere(name: str, training: bool) -> None:
    arguments = (name, Keep(0.5), training)
    assert modelled(*arguments, token_method="patch_dropout") == computed(*arguments, token_method="patch_dropout")


@pytest.mark.parametrize(
    "name, published",
    [
        ("swin_tiny_patch4_window7_224", 4.5),
        ("swin_small_patch4_window7_224", 8.7),
        ("pit_ti_224", 0.71),
        ("pit_xs_224", 1.4),
        ("pit_s_224", 2.9),
        ("lvvit_s", 6.6),
    ],
)
def test_published_dense_macs(name: str, published: float) -> None:
    assert sum(modelled(name, DENSE)) / 1e9 == pytest.approx(published, rel=0.02)


def test_every_model_is_described() -> None:
    assert set(model_names()) == set(described())
    assert set(FLOWS) == set(TOKEN_METHODS)
    assert {model for model, _ in TABLE_1} <= set(described())
