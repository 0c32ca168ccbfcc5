from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hls.spec.config import load
from hls.spec.slots import F_MAX, F_MIN
from host.errors import PeelVitError
from host.layout import plan_layout, skip_columns
from host.memory import MemoryPlan
from host.model import PRESETS, ViTConfig
from host.slots import INPUT_FRACTION, RECORD, as_words, from_words
from host.tensors import Group, Use

ZCU102 = load("zcu102")

MODELS = st.builds(
    lambda edge, patch, head_dim, depth, heads, hidden: ViTConfig(
        "m", edge * patch, patch, 3, head_dim * heads, depth, heads, hidden, 10
    ),
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 20), st.integers(1, 4), st.integers(1, 4), st.integers(1, 40),
)  # fmt: skip
UPDATES = st.sampled_from(["sgd_update", "adamw_update", None])
USES = st.builds(Use, st.integers(1, 5), st.booleans(), UPDATES, st.just((1,)), st.booleans())


@given(MODELS, USES)
def test_regions_lie_apart_and_inside(model, use):
    layout = plan_layout(ZCU102, model, use)
    end = 0
    for region in sorted(layout.memory.regions.values(), key=lambda region: region.address):
        assert region.address >= end
        end = region.address + region.words
    assert end <= layout.memory.words


@given(MODELS, USES)
def test_every_tensor_lies_inside_its_storage(model, use):
    layout = plan_layout(ZCU102, model, use)
    for tensor in layout.tensors.values():
        if tensor.words:
            region = layout.memory.regions[tensor.storage or tensor.name]
            assert layout.addresses[tensor.name] == region.address
            assert tensor.words <= region.words


@given(MODELS, USES)
def test_slots_are_apart_and_each_kind_is_one_range(model, use):
    layout = plan_layout(ZCU102, model, use)
    owners = {}
    for tensor in layout.tensors.values():
        first = layout.slots.first.get(tensor.name)
        for slot in range(tensor.slots.value):
            assert owners.setdefault(first + slot, tensor.name) == tensor.name
            assert first + slot in layout.slots.groups[tensor.group]
    assert sorted(owners) == list(range(layout.slots.count))


def test_tracing_gives_every_tensor_memory_of_its_own():
    layout = plan_layout(ZCU102, ViTConfig("m", 8, 4, 3, 16, 3, 2, 24, 4), Use(2, selectors=(1,), trace=True))
    addresses = list(layout.addresses.values())
    assert len(set(addresses)) == len(addresses)


def test_the_table_accounts_for_every_byte():
    layout = plan_layout(ZCU102, PRESETS["deit_tiny_patch16_224"], Use(16))
    lines = layout.memory.table().splitlines()
    sizes = [int(line.split(" bytes")[0].split()[-1].replace(",", "")) for line in lines]
    assert lines[-1].startswith("total")
    padding = 16 * 8 * len(layout.memory.regions)
    assert 0 <= sizes[-1] - sum(sizes[:-1]) <= padding
    assert any(line.startswith(Group.STATE.value) for line in lines)


def test_inference_needs_little_memory():
    model = PRESETS["deit_small_patch16_224"]
    inference = plan_layout(ZCU102, model, Use(1, training=False)).memory.bytes
    assert inference < 60 << 20
    assert inference < plan_layout(ZCU102, model, Use(1)).memory.bytes / 5


def test_a_model_that_does_not_fit_is_refused():
    with pytest.raises(PeelVitError, match=r"micro-batches of 64 needs [\d.]+ MiB of device memory but 512.0 MiB"):
        plan_layout(ZCU102, PRESETS["deit_small_patch16_224"], Use(64))


def test_a_model_with_too_many_slots_is_refused():
    with pytest.raises(PeelVitError, match="needs 689 slots but the hardware configuration has 512"):
        plan_layout(load("toy"), PRESETS["deit_tiny_patch16_224"], Use(1))


def test_regions_are_aligned():
    plan = MemoryPlan()
    plan.add("a", "x", 3)
    assert plan.add("b", "x", 1).address == 8
    assert plan.bytes == 256


def test_a_view_of_columns_begins_at_a_word():
    layout = plan_layout(ZCU102, ViTConfig("m", 8, 4, 3, 16, 1, 2, 24, 4), Use(2))
    qkv = layout.matrix("blocks.0.attn.qkv")
    assert skip_columns(qkv, 16).address == qkv.address + 2
    assert skip_columns(qkv, 16, "i32").address == qkv.address + 4
    with pytest.raises(ValueError, match="do not fill whole words"):
        skip_columns(qkv, 4)


def test_slot_tables_go_to_memory_and_back():
    layout = plan_layout(ZCU102, ViTConfig("m", 8, 4, 3, 16, 1, 2, 24, 4), Use(2))
    table = layout.slots.initial_table()
    table["history"][:, 3] = range(len(table))
    table["saturations"] = 2**32 - 1
    words = as_words(table)
    assert words.nbytes == 32 * layout.slots.count == len(table) * RECORD.itemsize
    assert (from_words(words) == table).all()
    assert table["f"][layout.slot("patches")] == INPUT_FRACTION
    assert ((table["f"] >= F_MIN) & (table["f"] <= F_MAX)).all()
