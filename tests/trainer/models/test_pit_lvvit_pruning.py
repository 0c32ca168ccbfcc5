"""PiT and LV-ViT with tokens taken out, against dense models in which pruned tokens are masked and stand still."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from host.schedules import kept_count, keys_per_query
from trainer.keep import Counts, Keep
from trainer.models.lvvit import LvVisionTransformer, LvvitConfig
from trainer.models.output import ModelOutput
from trainer.models.pit import PitConfig, PoolingVisionTransformer
from trainer.tokens.trilevel import TokenAttentionSelector

PIT = PitConfig("toy", 20, 4, 2, 3, 6, (3, 3), (2, 4), 5, select_before=(2, 3, 5))  # grids of 9 and 5
LVVIT = LvvitConfig("toy", 20, 4, 3, 12, 4, 2, 24, 5, stem=4, select_before=(2, 4))  # a grid of 5


def spread(model: nn.Module) -> nn.Module:
    """Weights large enough for attention to differ between tokens, in float64."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.double().eval()


def make(family: str, placement: str = "before") -> nn.Module:
    if family == "pit":
        return spread(PoolingVisionTransformer(PIT, TokenAttentionSelector(PIT.select_before, placement)))
    return spread(LvVisionTransformer(LVVIT, TokenAttentionSelector(LVVIT.select_before, placement)))


def images(batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, 20, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


class MaskedStage:
    """One image's tokens [T, D] of one stage, all of them; `alive` patches, and which keys each token may see."""

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self.alive = list(range(len(x) - 1))
        self.open = torch.ones(len(x), len(x), dtype=torch.bool)

    def select(self, kept: list[int], keys: list[list[int]] | None) -> None:
        self.alive = [self.alive[patch] for patch in kept]
        columns = [0] + [1 + patch for patch in self.alive]
        self.open = torch.zeros(len(self.x), len(self.x), dtype=torch.bool)
        self.open[:, columns] = True
        for query, own in zip(self.alive, keys or [], strict=False):
            self.open[1 + query] = False
            self.open[1 + query, [0] + [1 + self.alive[key] for key in own]] = True

    def add(self, update: Tensor) -> None:
        """Only what is alive moves."""
        rows = [0] + [1 + patch for patch in self.alive]
        moved = self.x.clone()
        moved[rows] += update[rows]
        self.x = moved

    def attend(self, block: nn.Module) -> None:
        q, k, v = block.attn.qkv(block.norm1(self.x)).unflatten(1, (3, block.attn.heads, -1)).permute(1, 2, 0, 3)
        scores = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(~self.open, -torch.inf)
        context = (scores.softmax(dim=-1) @ v).transpose(0, 1).flatten(1)
        self.add(block.attn.proj(context) / block.residual_scale)


def run_masked(
    blocks: nn.ModuleList, x: Tensor, number: int, places: tuple[int, ...], placement: str, selections: Iterator
) -> MaskedStage:
    stage = MaskedStage(x)
    for block in blocks:
        number += 1
        if number in places and placement == "before":
            stage.select(*next(selections))
        stage.attend(block)
        if number in places and placement == "inside":
            stage.select(*next(selections))
        stage.add(block.mlp(block.norm2(stage.x)) / block.residual_scale)
    return stage


def selections_of(output: ModelOutput, image: int) -> Iterator:
    for kept, keys in zip(output.kept, output.keys, strict=True):
        yield kept[image].tolist(), None if keys is None else keys[image].tolist()


def masked_pit(model: PoolingVisionTransformer, image: Tensor, placement: str, selections: Iterator) -> Tensor:
    grid, first, number = model.patch_embed(image[None]) + model.pos_embed, model.cls_token, 0
    for transformer in model.transformers:
        if transformer.pool is not None:
            grid, first = transformer.pool.conv(grid), transformer.pool.fc(first)
        x = torch.cat([first, grid.flatten(2).mT], dim=1)[0]
        stage = run_masked(transformer.blocks, x, number, PIT.select_before, placement, selections)
        first, grid = stage.x[None, :1], stage.x[1:].mT.reshape(1, -1, *grid.shape[2:])
        number += len(transformer.blocks)
    return model.head(model.norm(first[0, 0]))


def masked_lvvit(model: LvVisionTransformer, image: Tensor, placement: str, selections: Iterator) -> Tensor:
    patches = model.patch_embed(image[None]).flatten(2).mT
    x = (torch.cat([model.cls_token, patches], dim=1) + model.pos_embed)[0]
    stage = run_masked(model.blocks, x, 0, LVVIT.select_before, placement, selections)
    x = model.norm(stage.x)
    best = model.aux_head(x[[1 + patch for patch in stage.alive]]).amax(dim=0)
    return model.head(x[0]) + 0.5 * best


MASKED = {"pit": masked_pit, "lvvit": masked_lvvit}


@pytest.mark.parametrize("family", MASKED)
@pytest.mark.parametrize("placement", ["before", "inside"])
@pytest.mark.parametrize("keep", [Keep(0.6), Keep(1.0, 0.4), Keep(0.6, 0.4), Keep(0.01)], ids=str)
@torch.no_grad()
def test_pruning_is_masking_with_tokens_that_stand_still(family: str, placement: str, keep: Keep) -> None:
    model, x = make(family, placement), images()
    output = model(x, keep)
    assert len(output.kept) == len(model.selector_places)
    for image in range(len(x)):
        expected = MASKED[family](model, x[image], placement, selections_of(output, image))
        torch.testing.assert_close(output.logits[image], expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("family", MASKED)
@torch.no_grad()
def test_keeping_all_tokens_is_dense(family: str) -> None:
    model, x = make(family), images()
    dense = model(x)
    assert dense.kept == []
    assert dense.keys == []
    counts = {"pit": (81, 81, 25), "lvvit": (25, 25)}[family]
    torch.testing.assert_close(model(x, Counts(counts)).logits, dense.logits, rtol=0, atol=1e-12)
    for image in range(len(x)):
        stays_dense = ((list(range(count)), None) for count in counts)
        expected = MASKED[family](model, x[image], "before", stays_dense)
        torch.testing.assert_close(dense.logits[image], expected, rtol=0, atol=1e-11)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(MASKED)), st.floats(0.05, 1.0), st.floats(0.05, 1.0))
def test_counts_are_exact(family: str, tokens: float, attention: float) -> None:
    keep = Keep(tokens, attention)
    if keep.is_dense:
        return
    with torch.no_grad():
        output = make(family)(images(), keep)
    entering = {"pit": (81, None, 25), "lvvit": (25, None)}[family]
    left = 0
    for patches, kept, keys in zip(entering, output.kept, output.keys, strict=True):
        patches = left if patches is None else patches
        left = kept_count(patches, tokens)
        assert kept.shape == (2, left)
        assert (kept.diff(dim=1) > 0).all()
        assert kept.max() < patches
        wanted = keys_per_query(left, attention)
        if wanted == left:
            assert keys is None
        else:
            assert keys.shape == (2, left, wanted)
            assert (keys == torch.arange(left)[:, None]).any(dim=2).all()


@pytest.mark.parametrize("family", MASKED)
def test_skipped_blocks_give_pruned_tokens_no_gradient(family: str) -> None:
    """The last block's weights see the kept tokens only: pruned ones reach the logits past it, or not at all."""
    model, x = make(family), images(1)
    record: dict[str, Tensor] = {}
    output = model(x, Keep(0.4), record=record)
    output.logits.sum().backward()
    number = sum(PIT.depths) - 1 if family == "pit" else LVVIT.depth - 1
    entering = record[f"blocks.{number}.norm1"]
    assert entering.shape[1] == 1 + output.kept[-1].shape[1]
    assert entering.grad.ne(0).any(dim=2).all()


@pytest.mark.parametrize("family", MASKED)
def test_weights_follow_the_seed_and_nothing_else(family: str) -> None:
    kind, config = {"pit": (PoolingVisionTransformer, PIT), "lvvit": (LvVisionTransformer, LVVIT)}[family]
    before = torch.get_rng_state()
    first, second, other = kind(config, seed=5), kind(config, seed=5), kind(config, seed=6)
    assert torch.equal(torch.get_rng_state(), before)
    state = second.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in first.state_dict().items())
    assert not torch.equal(first.head.weight, other.head.weight)


@pytest.mark.parametrize("family", MASKED)
def test_embeddings_have_no_weight_decay(family: str) -> None:
    model = make(family)
    assert model.no_weight_decay() == {"cls_token", "pos_embed"} <= dict(model.named_parameters()).keys()


@pytest.mark.parametrize("family", MASKED)
@torch.no_grad()
def test_attention_variance_is_that_of_the_last_class_row(family: str) -> None:
    record: dict[str, Tensor] = {}
    output = make(family)(images(), Keep(0.6), record=record)
    last = max((name for name in record if name.endswith("attn.softmax")), key=lambda name: int(name.split(".")[1]))
    row = record[last].mean(dim=1)[:, 0, 1:]
    torch.testing.assert_close(output.attention_variance, row.var(dim=1, correction=0))
