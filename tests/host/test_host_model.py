from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.errors import PeelVitError
from host.model import PRESETS, Sparsity, ViTConfig, dense_plan, parse_model, plan_tokens

TINY = PRESETS["deit_tiny_patch16_224"]


def test_presets_are_the_published_shapes():
    assert (TINY.patches, TINY.patch_features, TINY.head_dim, TINY.mlp_hidden) == (196, 768, 64, 768)
    small = PRESETS["deit_small_patch16_224"]
    assert (small.dim, small.depth, small.heads, small.mlp_hidden, small.classes) == (384, 12, 6, 1536, 1000)


def test_a_model_can_be_written_out():
    name = "vit:image=32,patch=4,dim=60,depth=4,heads=5,mlp=128,classes=10"
    model = parse_model(name)
    assert model == ViTConfig(name, 32, 4, 3, 60, 4, 5, 128, 10)
    assert (model.head_dim, model.padded_head_dim, model.attention_width) == (12, 16, 80)


def test_the_data_set_decides_classes_and_channels():
    model = parse_model("deit_tiny_patch16_224", classes=7, channels=1)
    assert (model.classes, model.channels, model.name) == (7, 1, "deit_tiny_patch16_224")


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("resnet50", "there is no model resnet50"),
        ("vit:image=32,patch=4", "lacks dim, depth, heads, mlp, classes"),
        ("vit:image=32,patch=x", "cannot read 'patch=x'"),
        ("vit:colour=1", "cannot read 'colour=1'"),
        ("vit:image=32,image=32", "gives image twice"),
        ("vit:image=32,patch=5,dim=8,depth=1,heads=1,mlp=8,classes=2", "do not divide into patches of 5"),
        ("vit:image=32,patch=4,dim=8,depth=1,heads=3,mlp=8,classes=2", "3 heads do not divide dimension 8"),
        ("vit:image=32,patch=4,dim=8,depth=0,heads=1,mlp=8,classes=2", "depth is 0"),
        ("vit:image=32,patch=4,dim=8,depth=1,heads=1,mlp=8,classes=1", "at least 2 classes"),
    ],
)
def test_senseless_models_are_refused(name, sentence):
    with pytest.raises(PeelVitError, match=sentence):
        parse_model(name)


def test_the_paper_s_token_counts():
    plan = Sparsity(token_keep=0.7, attention_keep=0.3).plan(TINY)
    assert plan.token_counts == (138, 97, 68)
    assert plan.key_counts == (42, 30, 21)
    assert [block.patches for block in plan.blocks] == [196] * 3 + [138] * 3 + [97] * 3 + [68] * 3
    assert plan.prunes(3)
    assert plan.selects_keys(3)
    assert not plan.prunes(4)


def test_ratios_of_one_are_the_dense_model():
    plan = Sparsity().plan(TINY)
    assert plan.blocks == dense_plan(TINY).blocks
    assert not any(plan.prunes(index) or plan.selects_keys(index) for index in range(TINY.depth))


@given(
    st.integers(1, 20), st.integers(1, 100), st.integers(1, 100),
    st.sets(st.integers(2, 12), max_size=5).map(sorted),
)  # fmt: skip
def test_counts_are_exact_ceilings(edge, token_percent, key_percent, places):
    model = ViTConfig("m", edge, 1, 3, 8, 9, 1, 8, 2)
    plan = Sparsity(token_percent / 100, key_percent / 100, tuple(places)).plan(model)
    count = model.patches
    for index in plan.selectors:
        count = math.ceil(Fraction(token_percent, 100) * count)
        keys = math.ceil(Fraction(key_percent, 100) * count)
        assert plan.blocks[index].patches == count
        assert plan.blocks[index].key_count == (None if keys == count else keys)
    assert plan.selectors == tuple(place - 1 for place in places if place <= model.depth)


@pytest.mark.parametrize("places", [(1,), (4, 4), (7, 4), (0, 3), (-2,)])
def test_senseless_selector_places_are_refused(places):
    with pytest.raises(PeelVitError, match="make no sense"):
        Sparsity(0.7, 0.3, places).plan(TINY)


@pytest.mark.parametrize("ratios", [(0.0, 1.0), (1.1, 1.0), (1.0, -0.1), (1.0, float("nan"))])
def test_senseless_ratios_are_refused(ratios):
    with pytest.raises(PeelVitError, match="keep ratio is"):
        Sparsity(*ratios)


@pytest.mark.parametrize(
    "counts, keys, sentence",
    [
        ([197, 9, 9], [None] * 3, "cannot keep 197 of 196"),
        ([100, 101, 9], [None] * 3, "cannot keep 101 of 100"),
        ([100, 90, 80], [101, None, None], "cannot have 101 of 100 patch keys"),
        ([100, 90], [None] * 3, "do not fit 3 selectors"),
    ],
)
def test_senseless_counts_are_refused(counts, keys, sentence):
    with pytest.raises(PeelVitError, match=sentence):
        plan_tokens(TINY, counts, keys)
