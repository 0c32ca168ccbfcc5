"""Swin's tri-level selection: exact counts per window, what is skipped really skipped, and dense when nothing is."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from host.errors import PeelVitError
from host.schedules import kept_count, keys_per_query
from trainer.keep import Counts, Forced, Keep
from trainer.models.registry import create_model
from trainer.models.swin import SwinBlock, SwinConfig, SwinTransformer, WindowChoice
from trainer.models.swin_tokens import WindowSelector
from trainer.models.swin_windows import Partition
from trainer.selection import largest

MICRO = "swin_micro_patch2_window4_32"
SHIFTED = SwinConfig("shifted", 32, 2, 3, 8, (4, 2), (2, 2), 4, 5)  # 16 windows, plain and shifted, in stage 1
PADDED = SwinConfig("padded", 28, 2, 3, 8, (4, 2), (2, 2), 4, 5)  # a grid of 14 in windows of 4
CONFIGS = {config.name: config for config in (SHIFTED, PADDED)}


def spread(model: SwinTransformer) -> SwinTransformer:
    """Weights large enough for attention to differ between tokens, in float64."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.double().eval()


def make(name: str, places: tuple[int, ...] = (3, 4)) -> SwinTransformer:
    config = CONFIGS[name]
    return spread(SwinTransformer(config, WindowSelector(places, config.stages)))


def images(size: int, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def random_choice(block: SwinBlock, count: int, keys: int | None, batch: int = 2) -> WindowChoice:
    generator = torch.Generator().manual_seed(3)
    noise = torch.rand(batch, *block.cells.shape, generator=generator)
    noise -= 2.0 * (block.cells == block.partition.tokens)  # padding comes last
    slots = largest(noise, count).sort(dim=2).values
    cells = block.cells.expand(batch, -1, -1).gather(2, slots)
    if keys is None:
        return WindowChoice(slots, cells)
    scores = torch.rand(*slots.shape, count, generator=generator)
    scores.diagonal(dim1=2, dim2=3).fill_(2.0)
    return WindowChoice(slots, cells, largest(scores, keys))


def masked_block(block: SwinBlock, x: Tensor, choice: WindowChoice) -> Tensor:
    """The block on every token with closed connections, of which only the chosen tokens are taken."""
    partition, dim = block.partition, x.shape[-1]
    q, k, v = block.attn.qkv(partition.split(block.norm1(x))).unflatten(-1, (3, block.attn.heads, -1)).unbind(3)
    scores = torch.einsum("bwqhe,bwkhe->bwhqk", q, k) * q.shape[-1] ** -0.5
    table = block.attn.relative_position_bias_table
    scores = scores + table[block.attn.relative_position_index].permute(2, 0, 1) + block.region_mask[:, None]
    open_keys = torch.zeros(*choice.slots.shape[:2], partition.slots, partition.slots, dtype=torch.bool)
    for b in range(len(x)):
        for w in range(choice.slots.shape[1]):
            chosen = choice.slots[b, w]
            open_keys[b, w][:, chosen] = True
            for position, query in enumerate(chosen if choice.keys is not None else ()):
                open_keys[b, w, query] = False
                open_keys[b, w, query, chosen[choice.keys[b, w, position]]] = True
    p = scores.masked_fill(~open_keys[:, :, None], -torch.inf).softmax(dim=-1)
    update = torch.einsum("bwhqk,bwkhe->bwqhe", p, v).flatten(3)
    y = x + partition.join(block.attn.proj(update))
    y = y + block.mlp(block.norm2(y))
    computed = torch.zeros(len(x), partition.tokens + 1, dtype=torch.bool)
    computed.scatter_(1, choice.cells.flatten(1), True)
    return torch.where(computed[:, :-1].view(*x.shape[:3], 1).expand(-1, -1, -1, dim), y, x)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("number", [0, 1], ids=["plain", "shifted"])
@pytest.mark.parametrize("count, keys", [(16, None), (11, None), (11, 5), (16, 3), (1, 1)])
@torch.no_grad()
def test_a_block_computes_what_masking_would(name: str, number: int, count: int, keys: int | None) -> None:
    model = make(name)
    block = model.layers[0].blocks[number]
    x = model.patch_embed(images(CONFIGS[name].image_size))
    choice = random_choice(block, count, keys)
    torch.testing.assert_close(block(x, choice)[0], masked_block(block, x, choice), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_keeping_all_tokens_is_dense(name: str) -> None:
    model, x = make(name), images(CONFIGS[name].image_size)
    dense = model(x)
    assert dense.kept == []
    assert dense.keys == []
    whole = model(x, Counts((16, 16)))
    tokens = CONFIGS[name].stages[0].grid ** 2
    assert [kept.shape for kept in whole.kept] == [(2, tokens)] * 2
    torch.testing.assert_close(whole.logits, dense.logits, rtol=0, atol=1e-12)
    torch.testing.assert_close(whole.attention_variance, dense.attention_variance, rtol=1e-9, atol=0)


def top(scores: list[float], count: int) -> list[int]:
    return sorted(sorted(range(len(scores)), key=lambda slot: (-scores[slot], slot))[:count])


def selected(
    maps: Mapping[Partition, Tensor], partition: Partition, count: int, keys: int
) -> tuple[list[int], list[list[list[int]]]]:
    """Kept cells and keys for one image by plain lists, from the head-mean maps [W, A, A] of the dense blocks."""
    importance = [0.0] * (partition.tokens + 1)
    for where, windows in maps.items():
        for cells, window in zip(where.cells().tolist(), windows.tolist(), strict=True):
            for key, cell in enumerate(cells):
                importance[cell] += sum(
                    row[key] for query, row in zip(cells, window, strict=True) if query < where.tokens
                )
    importance[-1] = float("-inf")
    kept: list[int] = []
    all_keys = []
    for cells, window in zip(partition.cells().tolist(), maps[partition].tolist(), strict=True):
        slots = top([importance[cell] for cell in cells], count)
        kept += [cells[slot] for slot in slots if cells[slot] < partition.tokens]
        rows = [[float("inf") if q == k else window[q][k] for k in slots] for q in slots]
        all_keys.append([top(row, keys) for row in rows])
    return sorted(kept), all_keys


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("place", [3, 4], ids=["before a plain block", "before a shifted block"])
@torch.no_grad()
def test_selection_follows_column_sums_and_maps(name: str, place: int) -> None:
    model, x = make(name, (place,)), images(CONFIGS[name].image_size)
    record: dict[str, Tensor] = {}
    output = model(x, Keep(0.6, 0.4), record=record)
    seen = {model.layers[0].blocks[n].partition: record[f"blocks.{n}.attn.softmax"].mean(2) for n in range(place - 1)}
    here = model.layers[0].blocks[place - 1].partition
    count, keys = 10, 4  # ceil(16 * 0.6), ceil(10 * 0.4)
    for image in range(2):
        kept, own_keys = selected({where: maps[image] for where, maps in seen.items()}, here, count, keys)
        assert output.kept[0][image].tolist() == kept
        assert output.keys[0][image].sort(dim=2).values.tolist() == own_keys


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(CONFIGS)), st.floats(0.05, 1.0), st.floats(0.05, 1.0))
def test_counts_are_exact_and_nested(name: str, tokens: float, attention: float) -> None:
    model, config = make(name), CONFIGS[name]
    keep = Keep(tokens, attention)
    with torch.no_grad():
        output = model(images(config.image_size), keep)
    if keep.is_dense:
        return
    first = kept_count(16, tokens)
    for number, count in enumerate((first, kept_count(first, tokens))):
        partition = config.stages[0].partition(2 + number)
        kept, keys = output.kept[number], output.keys[number]
        assert kept.shape == (2, partition.computed(count))
        assert (kept.diff(dim=1) > 0).all()
        assert kept.min() >= 0
        assert kept.max() < partition.tokens
        wanted = keys_per_query(count, attention)
        if wanted == count:
            assert keys is None
            continue
        assert keys.shape == (2, partition.rows * partition.columns, count, wanted)
        assert (keys.sort(dim=3).values.diff(dim=3) > 0).all()
        assert keys.min() >= 0
        assert keys.max() < count
        assert (keys == torch.arange(count)[:, None]).any(dim=3).all()  # every query has itself


@torch.no_grad()
def test_later_selectors_choose_among_what_earlier_ones_chose() -> None:
    config = SwinConfig("long", 32, 2, 3, 8, (6, 2), (2, 2), 4, 5)
    model = spread(SwinTransformer(config, WindowSelector((3, 5), config.stages)))
    first, second = model(images(32), Keep(0.7)).kept
    assert all(set(later) < set(earlier) for earlier, later in zip(first.tolist(), second.tolist(), strict=True))


def test_the_default_places_are_thirds_of_the_third_stage() -> None:
    assert create_model("swin_tiny_patch4_window7_224").selector_places == (7, 9)
    assert create_model("swin_small_patch4_window7_224").selector_places == (11, 17)
    assert create_model(MICRO).selector_places == (7, 9)
    model = create_model(MICRO)
    output = model(torch.rand(1, 3, 32, 32), Keep(0.7, 0.5))
    assert [kept.shape[1] for kept in output.kept] == [12, 9]
    assert [keys.shape for keys in output.keys] == [(1, 1, 12, 6), (1, 1, 9, 5)]


@pytest.mark.parametrize("name", CONFIGS)
def test_gradients_of_computed_tokens_reach_only_computed_tokens(name: str) -> None:
    model = make(name)
    for block in model.layers[0].blocks[:2]:
        x = model.patch_embed(images(CONFIGS[name].image_size)).detach().requires_grad_()
        choice = random_choice(block, 9, 4)
        computed = torch.zeros(2, block.partition.tokens + 1, dtype=torch.bool)
        computed = computed.scatter(1, choice.cells.flatten(1), True)[:, :-1]
        out = block(x, choice)[0].flatten(1, 2)
        assert torch.equal(out[~computed], x.flatten(1, 2)[~computed])
        (gradient,) = torch.autograd.grad((out[computed] ** 2).sum(), x)
        gradient = gradient.flatten(1, 2)
        assert gradient[~computed].eq(0).all()
        assert gradient[computed].ne(0).any(dim=1).all()


@torch.no_grad()
def test_fused_and_recorded_attention_agree() -> None:
    model, x = make("padded"), images(28)
    plain, recorded = model(x, Keep(0.6, 0.5)), model(x, Keep(0.6, 0.5), record={})
    torch.testing.assert_close(plain.logits, recorded.logits, rtol=0, atol=1e-12)
    assert all(torch.equal(a, b) for a, b in zip(plain.kept + plain.keys, recorded.kept + recorded.keys, strict=True))


@torch.no_grad()
def test_attention_variance_is_that_of_the_last_column_sums() -> None:
    record: dict[str, Tensor] = {}
    model = make("shifted")
    variance = model(images(32), record=record).attention_variance
    sums = record["blocks.5.attn.softmax"].mean(dim=2).sum(dim=2).flatten(1)
    torch.testing.assert_close(variance, sums.var(dim=1, correction=0))


def test_weights_follow_the_seed_and_nothing_else() -> None:
    before = torch.get_rng_state()
    first, second, other = create_model(MICRO, seed=5), create_model(MICRO, seed=5), create_model(MICRO, seed=6)
    assert torch.equal(torch.get_rng_state(), before)
    state = second.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in first.state_dict().items())
    assert not torch.equal(first.head["fc"].weight, other.head["fc"].weight)


def test_drop_path_grows_linearly_and_works_on_a_part_of_the_tokens() -> None:
    model = create_model(MICRO, drop_path_rate=0.9).train()
    rates = [block.drop_path.rate for layer in model.layers for block in layer.blocks]
    assert rates == pytest.approx([0.1 * number for number in range(10)])
    model(torch.rand(2, 3, 32, 32), Keep(0.7, 0.5)).logits.sum().backward()


def test_position_tables_have_no_weight_decay() -> None:
    model = create_model(MICRO)
    names = model.no_weight_decay()
    assert len(names) == 10
    assert names <= dict(model.named_parameters()).keys()


def test_old_names_become_timms() -> None:
    new = create_model(MICRO).state_dict()
    old = {f"layers.0.blocks.1.{table}": torch.zeros(1) for table in ("attn_mask", "attn.relative_position_index")}
    for name, tensor in new.items():
        layer, _, rest = name.partition(".downsample.")
        old[f"layers.{int(layer[-1]) - 1}.downsample.{rest}" if rest else name.replace("head.fc", "head")] = tensor
    assert SwinTransformer.timm_names(old).keys() == new.keys()
    assert SwinTransformer.timm_names(new).keys() == new.keys()


@torch.no_grad()
def test_other_image_sizes_where_asked_for() -> None:
    model = create_model(MICRO, dynamic_img_size=True)
    output = model(torch.rand(1, 3, 24, 24), Keep(0.7, 0.5))
    assert output.tokens.shape == (1, 9, 64)
    assert output.kept[0].shape == (1, 9)
    with pytest.raises(PeelVitError, match="resize the images"):
        create_model(MICRO)(torch.rand(1, 3, 24, 24))


def test_patch_dropout_is_random_in_training_and_absent_in_evaluation() -> None:
    model = create_model(MICRO, token_method="patch_dropout")
    x = torch.rand(2, 3, 32, 32)
    torch.manual_seed(1)
    first = model(x, Keep(0.7))
    torch.manual_seed(1)
    same, other = model(x, Keep(0.7)), model(x, Keep(0.7))
    assert torch.equal(first.kept[0], same.kept[0])
    assert not torch.equal(first.kept[0], other.kept[0])
    assert [kept.shape for kept in first.kept] == [(2, ceil(16 * 0.7)), (2, 9)]
    model.eval()
    assert model(x, Keep(0.7)).kept == []
    with pytest.raises(PeelVitError, match="no attention sparsity"):
        model(x, Keep(0.7, 0.5))


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"img_size": 33}, "33 pixels do not divide into patches of 2"),
        ({"token_method": "evit"}, "evit does not work inside the windows .* use dense, trilevel or patch_dropout"),
        ({"attention_method": "magnitude"}, "magnitude does not work inside the windows"),
        ({"placement": "inside"}, "stand before blocks"),
        ({"method_options": {"fused_token": True}}, "leave out fused_token"),
        ({"select_before": (9, 7)}, "ascending"),
        ({"select_before": (1,)}, "before block 1 has not seen all windows .* before block 3 or later"),
        ({"select_before": (5,)}, "before block 5 has not seen all windows .* before block 6 or later"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict, sentence: str) -> None:
    with pytest.raises(PeelVitError, match=sentence):
        create_model(MICRO, **arguments)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(PeelVitError, match="3 heads do not divide dimension 8 of stage 1"):
        SwinConfig("odd", 32, 2, 3, 8, (2, 2), (3, 3), 4, 5)
    model, x = make("shifted"), images(32)
    with pytest.raises(PeelVitError, match="cannot compute 17 of 16 tokens"):
        model(x, Counts((17, 3)))
    with pytest.raises(PeelVitError, match="takes no forced indices"):
        model(x, Forced([torch.zeros(2, 3, dtype=torch.int64)] * 2))
    with pytest.raises(PeelVitError, match="keeps everything"):
        create_model(MICRO, token_method="dense")(torch.rand(1, 3, 32, 32), Keep(0.5))
