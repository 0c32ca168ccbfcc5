"""The float model: timm's keys, gradients, and pruned computation against a masked dense reference."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from host.errors import PeelVitError
from trainer.attention.dense import ALL_KEYS
from trainer.attention.selected import WAYS, SelectedKeys
from trainer.keep import Counts, Forced
from trainer.models.vit import VisionTransformer, VitShape, extract_patches
from trainer.record import SILENT
from trainer.tokens.trilevel import TokenAttentionSelector

BLOCK_SHAPES = {
    "norm1.weight": (192,),
    "norm1.bias": (192,),
    "attn.qkv.weight": (576, 192),
    "attn.qkv.bias": (576,),
    "attn.proj.weight": (192, 192),
    "attn.proj.bias": (192,),
    "norm2.weight": (192,),
    "norm2.bias": (192,),
    "mlp.fc1.weight": (768, 192),
    "mlp.fc1.bias": (768,),
    "mlp.fc2.weight": (192, 768),
    "mlp.fc2.bias": (192,),
}
OUTER_SHAPES = {
    "cls_token": (1, 1, 192),
    "pos_embed": (1, 197, 192),
    "patch_embed.proj.weight": (192, 3, 16, 16),
    "patch_embed.proj.bias": (192,),
    "norm.weight": (192,),
    "norm.bias": (192,),
    "head.weight": (1000, 192),
    "head.bias": (1000,),
}


def spread(model: VisionTransformer) -> VisionTransformer:
    """Weights large enough for attention to differ between tokens, in float64."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.double()


def images(shape: VitShape, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    size = shape.image_size
    return torch.randn(batch, shape.channels, size, size, dtype=torch.float64, generator=generator)


def masked_reference(model: VisionTransformer, x: Tensor, plan: dict[int, tuple[list, list | None]]) -> Tensor:
    """Logits of one image with no token gathered: pruned keys are masked with -inf in plain dense attention.

    `plan` gives per zero-based block the surviving original patches, and per survivor the original patches it may
    attend to (None: all survivors).
    """
    patches = functional.conv2d(x[None], model.patch_embed.proj.weight, model.patch_embed.proj.bias, stride=4)
    x = torch.cat([model.cls_token, patches.flatten(2).transpose(1, 2)], dim=1) + model.pos_embed
    tokens = x.shape[1]
    allowed = torch.ones(tokens, tokens, dtype=torch.bool)
    for index, block in enumerate(model.blocks):
        if index in plan:
            alive, keys = plan[index]
            allowed = torch.zeros(tokens, tokens, dtype=torch.bool)
            columns = torch.tensor([0, *(1 + patch for patch in alive)])
            allowed[:, columns] = True
            for query, own in zip(alive, keys or [], strict=False):
                allowed[1 + query] = False
                allowed[1 + query, torch.tensor([0, *(1 + patch for patch in own)])] = True
        heads = model.blocks[0].attn.heads
        q, k, v = block.attn.qkv(block.norm1(x)).reshape(tokens, 3, heads, -1).permute(1, 2, 0, 3)
        scores = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).masked_fill(~allowed, -torch.inf)
        x = x + block.attn.proj((scores.softmax(-1) @ v).transpose(0, 1).reshape(1, tokens, -1))
        x = x + block.mlp.fc2(functional.gelu(block.mlp.fc1(block.norm2(x))))
    return model.head(model.norm(x)[0, 0])


def test_keys_and_shapes_are_timms(deit_tiny: VitShape) -> None:
    expected = OUTER_SHAPES | {f"blocks.{i}.{name}": shape for i in range(12) for name, shape in BLOCK_SHAPES.items()}
    model = VisionTransformer(deit_tiny)
    assert {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == expected
    assert sum(parameter.numel() for parameter in model.parameters()) == 5_717_416


def test_seed_alone_decides_the_weights(toy_shape: Callable[..., VitShape]) -> None:
    torch.manual_seed(5)
    first = VisionTransformer(toy_shape(), seed=3)
    drawn = torch.rand(3)
    second = VisionTransformer(toy_shape(), seed=3)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), drawn), "making a model must not draw from the global generator"
    other = VisionTransformer(toy_shape(), seed=4)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name])
    assert not torch.equal(first.head.weight, other.head.weight)


def test_initial_weights(deit_tiny: VitShape) -> None:
    for name, parameter in VisionTransformer(deit_tiny).named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif parameter.ndim == 1:
            assert (parameter == 1).all(), name
        elif name != "cls_token":
            assert parameter.std().item() == pytest.approx(0.02, rel=0.05), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_patches_and_images_give_the_same(toy_shape: Callable[..., VitShape], dtype: torch.dtype) -> None:
    shape = toy_shape()
    model = spread(VisionTransformer(shape)).to(dtype)
    x = images(shape).to(dtype)
    patches = extract_patches(x, shape.patch_size)
    by_hand = x.reshape(2, 3, 3, 4, 3, 4).permute(0, 2, 4, 1, 3, 5).reshape(2, 9, 48)
    assert torch.equal(patches, by_hand)
    assert torch.equal(model(x).logits, model(patches).logits)
    assert model(x).logits.dtype == dtype


@pytest.mark.parametrize(
    "key_counts", [None, (4, 2), (None, 3), (7, None)], ids=["dense", "sparse", "dense-sparse", "sparse-dense"]
)
def test_pruned_equals_masked_dense(
    toy_shape: Callable[..., VitShape], key_counts: tuple[int | None, int | None] | None
) -> None:
    shape = toy_shape()
    model = spread(VisionTransformer(shape, TokenAttentionSelector((2, 4))))
    x = images(shape)
    output = model(x, Counts((7, 4), key_counts))
    for image in range(len(x)):
        alive = list(range(9))
        plan = {}
        for block, kept, keys in zip((1, 3), output.kept, output.keys, strict=True):
            alive = [alive[patch] for patch in kept[image].tolist()]
            rows = None if keys is None else [[alive[j] for j in row] for row in keys[image].tolist()]
            plan[block] = alive, rows
        assert torch.allclose(output.logits[image], masked_reference(model, x[image], plan), atol=1e-12)


def test_selecting_everything_equals_dense(toy_shape: Callable[..., VitShape]) -> None:
    shape = toy_shape()
    model = spread(VisionTransformer(shape, TokenAttentionSelector((2, 3))))
    x = images(shape)
    dense, all_tokens, all_keys = model(x), model(x, Counts((9, 9))), model(x, Counts((9, 9), (9, 9)))
    assert dense.kept == []
    assert torch.allclose(all_tokens.logits, dense.logits, atol=1e-12)
    assert torch.allclose(all_keys.logits, dense.logits, atol=1e-12)
    assert torch.allclose(all_keys.attention_variance, dense.attention_variance, atol=1e-12)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")  # compiled for GPUs only
@pytest.mark.parametrize("way", WAYS)
def test_every_way_equals_masking_with_minus_infinity(way: str) -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, 8, 5, dtype=torch.float64, generator=generator)
    keys = torch.rand(2, 7, 7, generator=generator).argsort(dim=-1)[..., :3].sort(dim=-1).values
    allowed = torch.zeros(2, 8, 8).index_fill(2, torch.tensor([0]), 1)
    allowed[:, 0] = 1
    allowed[:, 1:, 1:].scatter_(2, keys, 1)
    scores = (q @ k.transpose(2, 3) * 5**-0.5).masked_fill(allowed[:, None] == 0, -torch.inf)
    expected = scores.softmax(-1)
    context, probabilities = SelectedKeys(keys, way=way).attend(q, k, v, SILENT)
    assert torch.allclose(context, (expected @ v).transpose(1, 2).flatten(2), atol=1e-14)
    assert torch.allclose(probabilities.head_sum(), expected.sum(dim=1), atol=1e-14)
    assert torch.equal(probabilities.head_sum() == 0, allowed == 0)
    queries = torch.tensor([[0, 3], [7, 1]])
    rows = torch.stack([expected.sum(dim=1)[image, queries[image]] for image in range(2)])
    assert torch.allclose(probabilities.rows(queries), rows, atol=1e-14)
    assert torch.allclose(probabilities.column_sums(), expected.mean(dim=1).sum(dim=1), atol=1e-14)
    assert torch.allclose(probabilities.class_row(), expected[:, :, 0].mean(dim=1), atol=1e-14)


def test_dense_attention_against_torch() -> None:
    q, k, v = torch.randn(3, 2, 3, 8, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    context, _ = ALL_KEYS.attend(q, k, v, SILENT)
    expected = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    assert torch.allclose(context, expected, atol=1e-14)


@pytest.mark.parametrize("key_count", [None, 2])
def test_gradients_against_finite_differences(toy_shape: Callable[..., VitShape], key_count: int | None) -> None:
    shape = toy_shape(image_size=8, dim=4, heads=2, depth=3, mlp_hidden=5, classes=3, channels=1)
    model = spread(VisionTransformer(shape, TokenAttentionSelector((2, 3))))
    x = images(shape)
    chosen = model(x, Counts((3, 2), (key_count, key_count)))
    names, values = zip(*((name, p.detach().requires_grad_()) for name, p in model.named_parameters()), strict=True)

    def logits(*parameters: Tensor) -> Tensor:
        state = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(model, state, (x, Forced(chosen.kept, chosen.keys))).logits

    assert torch.autograd.gradcheck(logits, values, fast_mode=True)


def test_layer_norm_and_gelu_by_formula(toy_shape: Callable[..., VitShape]) -> None:
    model = VisionTransformer(toy_shape()).double()
    record: dict[str, Tensor] = {}
    model(images(toy_shape()), record=record)
    x = record["tokens"]
    variance, mean = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
    assert torch.allclose(record["blocks.0.norm1"], (x - mean) / (variance + 1e-6) ** 0.5, atol=1e-12)
    x = record["blocks.0.mlp.fc1"]
    assert torch.allclose(record["blocks.0.mlp.gelu"], x * (1 + torch.erf(x / 2**0.5)) / 2, atol=1e-14)


def test_forced_selection_is_used(toy_shape: Callable[..., VitShape]) -> None:
    shape = toy_shape()
    model = spread(VisionTransformer(shape, TokenAttentionSelector((2, 4))))
    x = images(shape)
    free = model(x, Counts((6, 3), (3, 2)))
    forced = model(x, Forced(free.kept, free.keys))
    assert torch.allclose(forced.logits, free.logits, atol=1e-12)
    other = [torch.tensor([[0, 1, 2, 3, 4, 5]] * 2), torch.tensor([[0, 1, 2]] * 2)]
    assert model(x, Forced(other)).kept[1].tolist() == [[0, 1, 2]] * 2
    assert model(x, Forced(other)).keys == [None, None]
    assert not torch.equal(model(x, Forced(other)).logits, free.logits)


def test_selection_reads_the_block_before(toy_shape: Callable[..., VitShape]) -> None:
    shape = toy_shape()
    model = spread(VisionTransformer(shape, TokenAttentionSelector((3,))))
    record: dict[str, Tensor] = {}
    output = model(images(shape), Counts((4,), (2,)), record=record)
    scores = record["blocks.1.attn.softmax"].sum(dim=1)[:, 0, 1:]
    assert output.kept[0].tolist() == [sorted(row[:4]) for row in scores.argsort(descending=True).tolist()]


def test_attention_variance_is_over_surviving_patches(toy_shape: Callable[..., VitShape]) -> None:
    shape = toy_shape()
    model = spread(VisionTransformer(shape, TokenAttentionSelector((2,))))
    record: dict[str, Tensor] = {}
    output = model(images(shape), Counts((5,), (3,)), record=record)
    patches = record["blocks.3.attn.softmax"][:, :, 0, 1:].mean(dim=1)
    expected = ((patches - patches.mean(dim=1, keepdim=True)) ** 2).mean(dim=1)
    assert patches.shape == (2, 5)
    assert torch.allclose(output.attention_variance, expected, atol=1e-16)


def test_record_holds_tensors_and_their_gradients(toy_shape: Callable[..., VitShape]) -> None:
    shape = toy_shape()
    model = spread(VisionTransformer(shape, TokenAttentionSelector((2,))))
    record: dict[str, Tensor] = {}
    output = model(images(shape), Counts((5,)), record=record)
    output.logits.sum().backward()
    assert torch.equal(record["logits"], output.logits)
    assert record["blocks.0.out"].shape == (2, 10, 12)
    assert record["blocks.1.in"].shape == (2, 6, 12)
    assert all(tensor.grad is not None for name, tensor in record.items() if name != "logits")


@pytest.mark.parametrize(
    "overrides, sentence",
    [
        ({"image_size": 13}, "13 pixels do not divide into patches of 4"),
        ({"heads": 5}, "5 heads do not divide"),
        ({"depth": 0}, "a model of 0 blocks"),
    ],
)
def test_impossible_shapes_are_refused(
    toy_shape: Callable[..., VitShape], overrides: dict[str, int], sentence: str
) -> None:
    with pytest.raises(PeelVitError, match=sentence):
        VisionTransformer(toy_shape(**overrides))


def test_inputs_of_another_size_are_refused(toy_shape: Callable[..., VitShape]) -> None:
    with pytest.raises(PeelVitError, match=r"takes images \(3, 12, 12\) or patches \(9, 48\) but got \(3, 16, 16\)"):
        VisionTransformer(toy_shape())(torch.zeros(1, 3, 16, 16))


def test_any_object_with_the_attributes_is_a_configuration(toy_shape: Callable[..., VitShape]) -> None:
    shape = SimpleNamespace(**vars(toy_shape()))
    assert VisionTransformer(shape)(torch.zeros(1, 3, 12, 12)).logits.shape == (1, 5)
