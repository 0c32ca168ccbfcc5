"""Token methods in the model families other than the plain ViT."""

from __future__ import annotations

import pytest
import torch

from host.errors import PeelVitError
from trainer.keep import DENSE, Keep
from trainer.models.registry import create_model
from trainer.tokens.registry import TOKEN_METHODS

PRUNED = Keep(0.6)


@pytest.mark.parametrize("name", ["evit", "evo_vit", "tome", "dynamic_vit", "ia_red2"])
def test_pit_refuses_what_it_cannot_pool(name: str) -> None:
    with pytest.raises(PeelVitError, match=f"{name} with these options does not"):
        create_model("pit_micro_32", token_method=name)


@pytest.mark.parametrize("name", ["static", "patch_dropout"])
def test_pit_takes_what_keeps_patches_whole(name: str) -> None:
    model = create_model("pit_micro_32", token_method=name).train()
    output = model(torch.randn(2, 3, 32, 32), PRUNED)
    output.logits.sum().backward()
    assert torch.isfinite(output.logits).all()


@pytest.mark.parametrize("name", sorted(TOKEN_METHODS))
def test_lvvit_takes_every_method(name: str) -> None:
    torch.manual_seed(3)
    model = create_model("lvvit_micro_patch4_32", token_method=name).train()
    output = model(torch.randn(2, 3, 32, 32), DENSE if name == "dense" else PRUNED)
    own = model.token_method.losses(output, torch.tensor([0, 1]), None)
    (output.logits.sum() + output.token_logits.sum() + sum(own.values())).backward()
    for key, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all(), key
