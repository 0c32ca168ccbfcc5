from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hls.spec.formats import MASTER_MAX, MASTER_MIN, requantise
from hls.spec.slots import EMPTY, RESCALE_PEAK
from host.errors import PeelVitError
from host.initialisation import initial_parameters
from host.model import ViTConfig
from host.parameters import (
    LARGEST_FRACTION,
    ZERO_FRACTION,
    check_state,
    dequantise_master,
    device_parameters,
    joined_master,
    low_half,
    master_peak,
    quantise_master,
    quantise_weight,
    timm_shapes,
    to_device,
    to_timm,
    weight_fraction,
)
from trainer.models.vit import VisionTransformer

MODELS = st.builds(
    lambda edge, patch, channels, head_dim, depth, heads, hidden, classes: ViTConfig(
        "m", edge * patch, patch, channels, head_dim * heads, depth, heads, hidden, classes
    ),
    st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 12), st.integers(1, 3),
    st.integers(1, 4), st.integers(1, 20), st.integers(2, 9),
)  # fmt: skip


@given(MODELS, st.integers(0, 2**32 - 1))
def test_to_the_device_and_back(model, seed):
    random = np.random.RandomState(seed)
    state = {name: random.standard_normal(shape).astype(np.float32) for name, shape in timm_shapes(model).items()}
    matrices = {p.name: to_device(model, p, state) for p in device_parameters(model)}
    assert all(matrices[p.name].shape == (p.rows, p.columns) for p in device_parameters(model))
    back = to_timm(model, matrices)
    assert back.keys() == state.keys()
    assert all(np.array_equal(back[name], state[name]) for name in state)


def test_names_and_shapes_are_those_of_the_float_model():
    model = ViTConfig("m", 12, 4, 2, 20, 2, 4, 24, 5)
    state = {name: tensor.numpy() for name, tensor in VisionTransformer(model).state_dict().items()}
    assert timm_shapes(model) == {name: array.shape for name, array in state.items()}
    check_state(model, state)


def test_heads_are_padded_one_by_one():
    model = ViTConfig("m", 4, 4, 1, 6, 1, 2, 8, 2)
    state = initial_parameters(model, 0)
    by_name = {p.name: to_device(model, p, state) for p in device_parameters(model)}
    qkv = by_name["blocks.0.attn.qkv.weight"].reshape(3, 2, 8, 6)
    assert np.array_equal(qkv[1, 1, :3], state["blocks.0.attn.qkv.weight"][9:12])
    assert not qkv[:, :, 3:].any()
    proj = by_name["blocks.0.attn.proj.weight"].reshape(6, 2, 8)
    assert np.array_equal(proj[:, 1, :3], state["blocks.0.attn.proj.weight"][:, 3:])


@given(hnp.arrays(np.float64, (3, 5), elements=st.floats(-1e3, 1e3, allow_subnormal=False)))
def test_quantised_weights_have_their_size_and_value(matrix):
    fraction = weight_fraction(matrix)
    master = quantise_master(matrix, fraction)
    weight = quantise_weight(master)
    assert np.abs(weight.astype(int)).max() <= 1 << 14
    assert master_peak(master, EMPTY) < RESCALE_PEAK or np.abs(master).max() == 1 << 30
    if fraction < LARGEST_FRACTION and matrix.any():
        assert np.abs(weight.astype(int)).max() >= 1 << 13
    assert np.abs(dequantise_master(master, fraction) - matrix).max() <= 2.0 ** -(fraction + 17)
    assert np.array_equal(quantise_master(dequantise_master(master, fraction), fraction), master)


def test_a_tensor_of_zeros_has_room_to_grow():
    assert weight_fraction(np.zeros((1, 4))) == ZERO_FRACTION
    assert weight_fraction(np.full((1, 4), 1e-30)) == LARGEST_FRACTION
    assert master_peak(np.zeros((1, 4), np.int32), EMPTY) == EMPTY


@given(hnp.arrays(np.int32, (40,), elements=st.integers(-(2**31) + 1, 2**31 - 1)))
def test_the_datapath_s_copy_is_the_specification_s(master):
    assert quantise_weight(master).tolist() == [requantise(int(value), 16) for value in master]


@given(hnp.arrays(np.int32, (40,), elements=st.integers(MASTER_MIN, MASTER_MAX)))
@example(np.array([MASTER_MIN, MASTER_MAX, 0x7FFF, 0x8000, -0x8000, -0x8001], np.int32))
def test_a_master_weight_is_its_copy_and_its_low_half(master):
    weight, low = quantise_weight(master), low_half(master)
    assert np.array_equal(low, low.astype(np.int16))
    assert np.array_equal(joined_master(weight, low), master)


@pytest.mark.parametrize("value", [MASTER_MIN - 1, MASTER_MAX + 1])
def test_a_master_weight_out_of_range_is_refused(value):
    with pytest.raises(PeelVitError, match="outside its range; the checkpoint is damaged"):
        low_half(np.array([[0, value]], np.int32))


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda s: s.pop("norm.bias"), "lack norm.bias"),
        (lambda s: s.update(extra=np.zeros(1)), "unknown extra"),
        (lambda s: s.update({"head.bias": np.zeros(9)}), r"head.bias has shape \[9\]"),
        (lambda s: s.update({"head.bias": np.array([0.0, np.nan])}), "not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change, sentence):
    model = ViTConfig("m", 4, 4, 1, 6, 1, 2, 8, 2)
    state = dict(initial_parameters(model, 0))
    change(state)
    with pytest.raises(PeelVitError, match=sentence):
        check_state(model, state)
