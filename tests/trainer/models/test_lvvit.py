"""LV-ViT: the authors' tensors, their forward pass written out, MixToken, and the token-labelling loss."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from host.errors import PeelVitError
from tools.timm_fixtures import formula_image, formula_weights
from trainer.keep import Keep
from trainer.models.lvvit import LvVisionTransformer, MixBox, draw_mix_box, surviving_patches, token_labelling_loss
from trainer.models.output import ModelOutput
from trainer.models.registry import create_model

MICRO = "lvvit_micro_patch4_32"
DIM, HIDDEN, CLASSES = 384, 1152, 1000
OUTER = {
    "cls_token": (1, 1, DIM),
    "pos_embed": (1, 197, DIM),
    "patch_embed.conv1.weight": (64, 3, 7, 7),
    "patch_embed.conv2.weight": (64, 64, 3, 3),
    "patch_embed.conv3.weight": (64, 64, 3, 3),
    "patch_embed.proj.weight": (DIM, 64, 8, 8),
    "patch_embed.proj.bias": (DIM,),
    "norm.weight": (DIM,),
    "norm.bias": (DIM,),
    "head.weight": (CLASSES, DIM),
    "head.bias": (CLASSES,),
    "aux_head.weight": (CLASSES, DIM),
    "aux_head.bias": (CLASSES,),
}
BATCH_NORM = {"weight": (64,), "bias": (64,), "running_mean": (64,), "running_var": (64,), "num_batches_tracked": ()}
BLOCK = {
    "norm1.weight": (DIM,),
    "norm1.bias": (DIM,),
    "attn.qkv.weight": (3 * DIM, DIM),
    "attn.proj.weight": (DIM, DIM),
    "attn.proj.bias": (DIM,),
    "norm2.weight": (DIM,),
    "norm2.bias": (DIM,),
    "mlp.fc1.weight": (HIDDEN, DIM),
    "mlp.fc1.bias": (HIDDEN,),
    "mlp.fc2.weight": (DIM, HIDDEN),
    "mlp.fc2.bias": (DIM,),
}


def formula_micro() -> LvVisionTransformer:
    model = create_model(MICRO).double().eval()
    counts = {name: tensor for name, tensor in model.state_dict().items() if name.endswith("num_batches_tracked")}
    weights = formula_weights({name: tensor for name, tensor in model.state_dict().items() if name not in counts})
    weights |= {name: tensor.abs() for name, tensor in weights.items() if name.endswith("running_var")} | counts
    model.load_state_dict(weights)
    return model


def test_tensors_are_those_of_the_authors_repository() -> None:
    wanted = dict(OUTER)
    for number in (1, 2, 3):
        wanted |= {f"patch_embed.bn{number}.{name}": shape for name, shape in BATCH_NORM.items()}
    for number in range(16):
        wanted |= {f"blocks.{number}.{name}": shape for name, shape in BLOCK.items()}
    model = create_model("lvvit_s")
    assert {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == wanted
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(26.2e6, rel=0.005)  # paper
    assert model.selector_places == (5, 9, 13)


def written_out(w: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Class logits and token logits of LV-ViT micro from its state dict `w`, as the paper describes it."""
    for number in (1, 2, 3):
        x = functional.conv2d(
            x, w[f"patch_embed.conv{number}.weight"], stride=2 if number == 1 else 1, padding=3 if number == 1 else 1
        )
        norm = f"patch_embed.bn{number}."
        x = functional.batch_norm(
            x, w[norm + "running_mean"], w[norm + "running_var"], w[norm + "weight"], w[norm + "bias"]
        ).relu()
    x = functional.conv2d(x, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=2).flatten(2).mT
    x = torch.cat([w["cls_token"].expand(len(x), -1, -1), x], dim=1) + w["pos_embed"]

    def norm(name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], 1e-5)

    for number in range(8):
        b = f"blocks.{number}."
        q, k, v = (norm(b + "norm1", x) @ w[b + "attn.qkv.weight"].T).unflatten(2, (3, 3, 32)).permute(2, 0, 3, 1, 4)
        context = ((q @ k.mT / 32**0.5).softmax(dim=-1) @ v).transpose(1, 2).flatten(2)
        x = x + (context @ w[b + "attn.proj.weight"].T + w[b + "attn.proj.bias"]) / 2
        hidden = functional.gelu(norm(b + "norm2", x) @ w[b + "mlp.fc1.weight"].T + w[b + "mlp.fc1.bias"])
        x = x + (hidden @ w[b + "mlp.fc2.weight"].T + w[b + "mlp.fc2.bias"]) / 2
    x = norm("norm", x)
    return x[:, 0] @ w["head.weight"].T + w["head.bias"], x[:, 1:] @ w["aux_head.weight"].T + w["aux_head.bias"]


@torch.no_grad()
def test_the_forward_pass_is_the_papers() -> None:
    model = formula_micro()
    x = torch.cat([formula_image(32), formula_image(32).flip(3)])
    class_logits, token_logits = written_out(model.state_dict(), x)
    output = model(x)
    torch.testing.assert_close(output.token_logits, token_logits, rtol=0, atol=1e-11)
    torch.testing.assert_close(output.logits, class_logits + 0.5 * token_logits.amax(dim=1), rtol=0, atol=1e-11)
    model.train()
    model.patch_embed.eval()
    torch.testing.assert_close(model(x).logits, class_logits, rtol=0, atol=1e-11)


@torch.no_grad()
def test_mix_token_takes_patches_of_the_reversed_batch() -> None:
    model = formula_micro()
    x = torch.cat([formula_image(32), formula_image(32).flip(3), formula_image(32).flip(2)])
    record: dict[str, Tensor] = {}
    model(x, record=record, mix_box=MixBox(2, 5, 0, 3))
    grid = record["patch_embed"]
    tokens = (record["tokens"][:, 1:] - model.pos_embed[:, 1:]).mT.unflatten(2, (8, 8))
    expected = grid.clone()
    expected[:, :, 2:5, 0:3] = grid.flip(0)[:, :, 2:5, 0:3]
    torch.testing.assert_close(tokens, expected)


def test_boxes_follow_their_generator_and_lie_in_the_grid() -> None:
    before = torch.get_rng_state()
    generators = [torch.Generator().manual_seed(4) for _ in range(2)]
    boxes = [[draw_mix_box(14, generator) for _ in range(2000)] for generator in generators]
    assert boxes[0] == boxes[1]
    assert torch.equal(torch.get_rng_state(), before)
    assert all(0 <= box.top <= box.bottom <= 14 and 0 <= box.left <= box.right <= 14 for box in boxes[0])
    assert all(
        box.inside(14, torch.device("cpu")).sum() == (box.bottom - box.top) * (box.right - box.left)
        for box in boxes[0][:20]
    )


def output_of(batch: int, patches: int, kept: list[Tensor]) -> ModelOutput:
    generator = torch.Generator().manual_seed(6)
    left = kept[-1].shape[1] if kept else patches
    return ModelOutput(
        logits=torch.randn(batch, 4, generator=generator),
        tokens=torch.empty(0),
        kept=kept,
        keys=[None] * len(kept),
        attention_variance=torch.zeros(batch),
        token_logits=torch.randn(batch, left, 4, generator=generator),
    )


def soft(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7)).softmax(dim=-1)


def cross_entropy(logits: Tensor, target: Tensor) -> float:
    return -sum(t * p for t, p in zip(target.tolist(), logits.log_softmax(dim=0).tolist(), strict=True))


def test_loss_without_maps_gives_each_kept_token_its_images_target() -> None:
    output, targets = output_of(3, 9, [torch.tensor([[0, 2, 4, 8]] * 3)]), soft(3, 4)
    class_loss = sum(cross_entropy(output.logits[b], targets[b]) for b in range(3)) / 3
    tokens = sum(cross_entropy(output.token_logits[b, t], targets[b]) for b in range(3) for t in range(4)) / 12
    assert token_labelling_loss(output, targets).item() == pytest.approx(class_loss + 0.5 * tokens)


@pytest.mark.parametrize("with_maps", [True, False])
@pytest.mark.parametrize("pruned", [True, False])
def test_loss_follows_tokens_through_selectors_and_the_mix_box(with_maps: bool, pruned: bool) -> None:
    kept = [torch.tensor([[0, 2, 4, 5, 8]] * 2), torch.tensor([[0, 1, 4], [1, 2, 3]])] if pruned else []
    places = [[0, 2, 8], [2, 4, 5]] if pruned else [list(range(9))] * 2
    output, targets, maps, box = output_of(2, 9, kept), soft(2, 4), soft(2, 9, 4), MixBox(0, 2, 1, 3)
    loss = token_labelling_loss(
        output, targets, label_maps=maps if with_maps else None, mix_box=box, patches=9, token_weight=0.3
    )
    share = 4 / 9
    expected = 0.0
    for b in range(2):
        mixed = (1 - share) * targets[b] + share * targets[1 - b]
        expected += cross_entropy(output.logits[b], mixed) / 2
        for token, place in enumerate(places[b]):
            image = 1 - b if place // 3 < 2 and place % 3 >= 1 else b
            target = maps[image, place] if with_maps else targets[image]
            expected += 0.3 * cross_entropy(output.token_logits[b, token], target) / (2 * len(places[b]))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_surviving_patches_count_in_the_whole_grid() -> None:
    kept = [torch.tensor([[1, 3, 4]]), torch.tensor([[0, 2]])]
    assert surviving_patches(kept, 1, 5, torch.device("cpu")).tolist() == [[1, 4]]
    assert surviving_patches([], 1, 3, torch.device("cpu")).tolist() == [[0, 1, 2]]


def test_losses_that_cannot_be_are_refused() -> None:
    output, targets = output_of(2, 9, []), soft(2, 4)
    with pytest.raises(PeelVitError, match="say how many there are"):
        token_labelling_loss(output, targets, mix_box=MixBox(0, 1, 0, 1))
    with pytest.raises(PeelVitError, match="merged or fused"):
        token_labelling_loss(output, targets, label_maps=soft(2, 16, 4))
    with pytest.raises(PeelVitError, match="needs a model with a head for tokens"):
        token_labelling_loss(ModelOutput(targets, targets, [], [], targets), targets)


def test_it_learns_from_token_labels() -> None:
    model = create_model(MICRO, drop_path_rate=0.1, select_before=(3,)).train()
    generator = torch.Generator().manual_seed(0)
    x, targets = torch.rand(4, 3, 32, 32, generator=generator), torch.eye(10)[[1, 2, 3, 4]]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    torch.manual_seed(1)
    for _ in range(6):
        loss = token_labelling_loss(model(x, Keep(0.7, 0.5)), targets)
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@torch.no_grad()
def test_images_of_another_size() -> None:
    with pytest.raises(PeelVitError, match="resize the images"):
        create_model(MICRO)(torch.rand(1, 3, 24, 24))
    output = create_model(MICRO, dynamic_img_size=True)(torch.rand(1, 3, 24, 24), Keep(0.5))
    assert output.token_logits.shape == (1, 5, 10)  # 36 patches halved three times


@pytest.mark.parametrize("size, sentence", [(33, "33 pixels do not divide"), (226, "226 pixels do not divide")])
def test_sizes_that_do_not_fit_are_refused(size: int, sentence: str) -> None:
    with pytest.raises(PeelVitError, match=sentence):
        create_model(MICRO, img_size=size)
