"""ONNX files, in onnxruntime."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch

from host.errors import PeelVitError
from trainer.export import onnx_model
from trainer.export.onnx_model import export_onnx
from trainer.keep import Keep
from trainer.models.base import ImageClassifier
from trainer.models.registry import create_model

PRUNED = Keep(0.6, 0.5)
SHAPE = (2, 3, 12, 12)


def toy(seed: int = 0) -> ImageClassifier:
    """Its patches of a grey image are all alike."""
    name = "vit:image=12,patch=4,dim=12,depth=2,heads=3,mlp=20,classes=5"
    model = create_model(name, select_before=(2,), seed=seed)
    with torch.no_grad():
        model.pos_embed.zero_()
    return model


def run(path: Path, images: torch.Tensor) -> dict[str, torch.Tensor]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, map(torch.from_numpy, session.run(names, {"images": images.numpy()})), strict=True))


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "toy.onnx"
    result = export_onnx(toy(), PRUNED, path, SHAPE, metadata={"token_keep": "0.6"})
    assert result.largest_difference < 1e-6
    assert (result.tokens, result.keys) == (3 * 2 * 6, 3 * 2 * 6 * 3)
    return path


@pytest.fixture
def written(pruned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is exported, the file is that of the pruned toy: it saves the time of making it again."""

    def write(flat: torch.nn.Module, images: torch.Tensor, path: Path) -> list[str]:
        shutil.copy(pruned, path)
        return ["logits", "kept.0", "keys.0"]

    monkeypatch.setattr(onnx_model, "_write", write)


@pytest.fixture
def other_weights(written: None) -> ImageClassifier:
    """A model whose export goes wrong: its file computes what another model computes."""
    return toy(seed=1)


def test_pruning_is_topk_and_gather_at_static_shapes(pruned: Path) -> None:
    model = onnx.load(pruned)
    assert {"TopK", "GatherElements", "ScatterElements"} <= {node.op_type for node in model.graph.node}
    shapes = {o.name: [d.dim_value for d in o.type.tensor_type.shape.dim] for o in model.graph.output}
    assert shapes == {"logits": [2, 5], "kept.0": [2, 6], "keys.0": [2, 6, 3]}
    assert {entry.key: entry.value for entry in model.metadata_props}["token_keep"] == "0.6"


def test_file_computes_what_the_model_computes(pruned: Path) -> None:
    images = torch.randn(SHAPE)
    found, wanted = run(pruned, images), toy().eval()(images, PRUNED)
    torch.testing.assert_close(found["logits"], wanted.logits, atol=1e-5, rtol=0)
    assert found["kept.0"].equal(wanted.kept[0])
    assert found["keys.0"].sort().values.equal(wanted.keys[0].sort().values)


def test_ties_go_to_the_lowest_index(pruned: Path) -> None:
    images = torch.zeros(SHAPE)
    found, wanted = run(pruned, images), toy().eval()(images, PRUNED)
    assert found["kept.0"].tolist() == wanted.kept[0].tolist() == [list(range(6))] * 2
    keys = found["keys.0"].sort().values
    assert keys.equal(wanted.keys[0].sort().values)
    assert keys[0].tolist() == [[0, 1, 2]] * 3 + [[0, 1, query] for query in range(3, 6)]


@pytest.mark.usefixtures("written")
def test_logits_alone(tmp_path: Path) -> None:
    result = export_onnx(toy(), PRUNED, tmp_path / "toy.onnx", SHAPE, logits_only=True, samples=1)
    assert result.tokens
    assert list(run(tmp_path / "toy.onnx", torch.randn(SHAPE))) == ["logits"]


def test_different_logits_leave_no_file(other_weights: ImageClassifier, tmp_path: Path) -> None:
    with pytest.raises(PeelVitError, match=r"logits differ .*toy.onnx was not kept"):
        export_onnx(other_weights, PRUNED, tmp_path / "toy.onnx", SHAPE)
    assert not list(tmp_path.iterdir())


def test_different_tokens_leave_no_file(
    other_weights: ImageClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_model, "LOGITS_TOLERANCE", float("inf"))
    with pytest.raises(PeelVitError, match=r"other indices .* kept.0, so .* was not kept"):
        export_onnx(other_weights, PRUNED, tmp_path / "toy.onnx", SHAPE)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_model, "_PACKAGES", ("onnx", "no_such_package"))
    with pytest.raises(PeelVitError, match="no_such_package"):
        export_onnx(toy(), PRUNED, tmp_path / "toy.onnx", SHAPE)
