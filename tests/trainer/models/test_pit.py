"""PiT's own rules: where selectors may stand, which methods fit a pooled grid, which images it takes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from host.errors import PeelVitError
from trainer.keep import Keep
from trainer.models.pit import PitConfig, PoolingVisionTransformer
from trainer.models.pit_grid import StageGrid
from trainer.models.registry import create_model
from trainer.tokens.method import ForwardState

MICRO = "pit_micro_32"


class AddOne(nn.Module):
    """A block whose halves each add one to every token."""

    def attend(self, x, connections, record):
        return x + 1.0, None

    def feed_forward(self, x, record):
        return x + 1.0


def test_pruned_tokens_stay_as_they_were() -> None:
    x = torch.arange(5.0).view(1, 5, 1) * 10  # a class token and patches 10, 20, 30, 40
    state = ForwardState()
    grid = StageGrid(x, state)
    first, second, third = grid.watched([AddOne()] * 3)
    x = first.feed_forward(first.attend(x)[0])
    state.kept.append(torch.tensor([[0, 2, 3]]))
    x = second.feed_forward(second.attend(x[:, [0, 1, 3, 4]])[0])
    state.kept.append(torch.tensor([[1]]))
    x = third.feed_forward(third.attend(x[:, [0, 2]])[0])
    assert grid.whole(x).flatten().tolist() == [14.0, 22.0, 36.0, 44.0]


@pytest.mark.parametrize("name, grids", [("pit_ti_224", (27, 14, 7)), ("pit_s_224", (27, 14, 7)), (MICRO, (15, 8, 4))])
def test_grids(name: str, grids: tuple[int, ...]) -> None:
    assert tuple(stage.grid for stage in create_model(name).config.stages) == grids


@pytest.mark.parametrize("method", ["trilevel", "static", "patch_dropout"])
def test_methods_that_remove_tokens_train(method: str) -> None:
    model = create_model(MICRO, token_method=method, drop_path_rate=0.1).train()
    output = model(torch.rand(2, 3, 32, 32), Keep(0.7))
    output.logits.sum().backward()
    assert output.kept
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"img_size": 3}, "images of 3 pixels are smaller than one patch"),
        ({"token_method": "evit"}, "which evit with these options does not; use dense, trilevel"),
        ({"token_method": "tome"}, "may only remove tokens, which tome"),
        ({"token_method": "evo_vit"}, "may only remove tokens, which evo_vit"),
        ({"token_method": "dynamic_vit"}, "may only remove tokens, which dynamic_vit"),
        ({"method_options": {"fused_token": True}}, "without a fused token"),
        ({"select_before": (2, 3)}, "before block 3, the first of a stage .* before block 4 or later"),
        ({"select_before": (1,)}, "make no sense"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict, sentence: str) -> None:
    with pytest.raises(PeelVitError, match=sentence):
        create_model(MICRO, **arguments)


def test_a_selector_inside_the_first_block_of_a_stage_has_attention_to_read() -> None:
    output = create_model(MICRO, select_before=(3,), placement="inside")(torch.rand(1, 3, 32, 32), Keep(0.5))
    assert output.kept[0].shape == (1, 32)


def test_heads_must_be_multiples() -> None:
    with pytest.raises(PeelVitError, match="pooling cannot make"):
        PitConfig("odd", 32, 4, 2, 3, 8, (1, 1), (2, 3), 5)


@torch.no_grad()
def test_images_of_another_size() -> None:
    with pytest.raises(PeelVitError, match="resize the images"):
        create_model(MICRO)(torch.rand(1, 3, 24, 24))
    output = create_model(MICRO, dynamic_img_size=True)(torch.rand(1, 3, 24, 24), Keep(0.7))
    assert output.tokens.shape == (1, 1 + 7, 96)  # grids of 11, 6 and 3; ceil(0.7 * 9) = 7


def test_names_of_the_original_repository_become_timms() -> None:
    new = create_model(MICRO).state_dict()
    old = {}
    for name, tensor in new.items():
        stage, _, rest = name.partition(".pool.")
        old[f"pools.{int(stage[-1]) - 1}.{rest}" if rest else name] = tensor
    assert any(name.startswith("pools.") for name in old)
    assert PoolingVisionTransformer.timm_names(old).keys() == new.keys()
    assert PoolingVisionTransformer.timm_names(new).keys() == new.keys()


def test_drop_path_grows_linearly() -> None:
    model = create_model(MICRO, drop_path_rate=0.7)
    rates = [block.drop_path.rate for transformer in model.transformers for block in transformer.blocks]
    assert rates == pytest.approx([0.1 * number for number in range(8)])
