"""The engine's parts, one by one."""

from __future__ import annotations

import copy
import errno
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from host.errors import CheckpointError, PeelVitError
from host.schedules import CosineRate, KeepRatio
from trainer.data.batch import MixedBatch
from trainer.engine import checkpoint
from trainer.engine.best import BestEpochs
from trainer.engine.ema import WeightAverage
from trainer.engine.evaluation import Evaluation, evaluate
from trainer.engine.losses import Losses
from trainer.engine.objective import Objective
from trainer.engine.optimizer import SCALE, create_optimizer, parameter_groups, set_learning_rate
from trainer.engine.precision import Precision
from trainer.engine.schedule import Schedules
from trainer.engine.seeds import derived_seed
from trainer.engine.stopwatch import Stopwatch
from trainer.engine.update import NotFinite, Updater, split
from trainer.engine.weights import load_weights, save_weights, start_from
from trainer.keep import DENSE, Keep
from trainer.models.registry import create_model
from trainer.options import Options

CPU = torch.device("cpu")
MODEL = "vit:image=8,patch=2,dim=16,depth=4,heads=2,mlp=32,channels=1"


def toy(classes: int = 10, **arguments: Any) -> nn.Module:
    return create_model(MODEL, num_classes=classes, in_chans=1, select_before=(2, 3), **arguments)


def updater(model: nn.Module, options: Options, **changes: Any) -> Updater:
    objective = Objective(model, 10, options.smoothing)
    return Updater(objective, model, create_optimizer(options, model), Precision(options, CPU), **changes)


# Optimizer


def test_only_matrices_decay() -> None:
    model = toy()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = {group["weight_decay"]: group["params"] for group in parameter_groups(model, 0.05)}
    decayed = {names[id(parameter)] for parameter in groups[0.05]}
    assert all(name.endswith("weight") and "norm" not in name for name in decayed)
    assert {names[id(parameter)] for parameter in groups[0.0]} >= {"cls_token", "pos_embed", "head.bias"}
    assert sum(map(len, groups.values())) == len(names)


def test_layer_decay_falls_from_the_head_to_the_embeddings() -> None:
    model = toy()
    scale = {
        id(parameter): group[SCALE] for group in parameter_groups(model, 0.05, 0.5) for parameter in group["params"]
    }
    named = dict(model.named_parameters())
    assert scale[id(named["head.weight"])] == scale[id(named["norm.weight"])] == 1.0
    assert [scale[id(named[f"blocks.{n}.mlp.fc1.weight"])] for n in range(4)] == [0.0625, 0.125, 0.25, 0.5]
    assert scale[id(named["patch_embed.proj.weight"])] == scale[id(named["cls_token"])] == 0.5**5


def test_the_learning_rate_is_set_by_layer() -> None:
    optimizer = create_optimizer(Options(layer_decay=0.5), toy())
    set_learning_rate(optimizer, 0.1)
    assert {group["lr"] / group[SCALE] for group in optimizer.param_groups} == {0.1}


# Schedules


@given(st.integers(1, 9), st.integers(1, 30))
def test_schedules_are_the_hosts_where_epochs_are_equal(epochs: int, nominal: int) -> None:
    options = Options(epochs=epochs, lr=0.1, token_keep=0.7, attention_keep=0.5, warmup_epochs=min(1, epochs))
    schedules = Schedules.of(options, nominal, 1)
    rate = CosineRate(0.1, epochs * nominal, min(nominal, epochs * nominal), 1e-6, 1e-5)
    tokens = KeepRatio.between_epochs(0.7, *options.warmup_span, nominal)
    for update in range(epochs * nominal):
        epoch, step = divmod(update, nominal)
        assert schedules.learning_rate(epoch, step, nominal) == rate(update)
        assert schedules.keep(epoch, step, nominal).tokens == tokens(update)
    assert schedules.final == Keep(0.7, 0.5)


def test_schedules_end_with_the_run_whatever_the_epochs_length() -> None:
    schedules = Schedules.of(Options(epochs=4, lr=0.1, min_lr=0.0, warmup_epochs=0), nominal=100, world=1)
    assert schedules.learning_rate(3, 39, 40) < 1e-4
    assert schedules.learning_rate(2, 0, 7) == schedules.learning_rate(2, 0, 100)


# Updates


def test_accumulation_equals_one_large_batch(batch: MixedBatch) -> None:
    model = toy().double()
    double = replace(batch, images=batch.images.double())
    states, losses = [], []
    for parts in (1, 3):
        one = copy.deepcopy(model)
        update = updater(one, Options(opt="sgd", clip_grad=0.1), micro_batches=parts, clip_grad=0.1)
        set_learning_rate(update.optimizer, 1.0)
        losses.append(update(double, Keep(0.7, 0.5), lambda outcome, part: None))
        states.append(one.state_dict())
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-6)
    for name in states[0]:  # the loss itself is computed in float32
        torch.testing.assert_close(states[0][name], states[1][name], rtol=1e-6, atol=1e-7)


def test_split_keeps_order_and_every_column(batch: MixedBatch) -> None:
    parts = list(split(batch, 4))
    for name in ("images", "labels", "other_labels", "share", "indices", "other_indices", "weights"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(batch, name))
    assert next(split(replace(batch, weights=None), 4)).weights is None


def test_a_loss_that_is_not_finite_changes_nothing(batch: MixedBatch) -> None:
    model = toy()
    before = copy.deepcopy(model.state_dict())
    update = updater(model, Options())
    with pytest.raises(NotFinite, match="nan"):
        update(replace(batch, images=batch.images * torch.nan), DENSE, lambda outcome, part: None)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_the_loss_falls(batch: MixedBatch) -> None:
    update = updater(toy(), Options())
    set_learning_rate(update.optimizer, 0.01)
    whole = replace(batch, share=torch.ones(12), weights=None)
    losses = [update(whole, Keep(0.7, 0.5), lambda outcome, part: None).item() for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]


def test_losses_name_the_step() -> None:
    losses = Losses(CPU)
    for value in (1.0, 2.0):
        losses.add(torch.tensor(value))
    assert losses.take(7, stop=True) == ([1.0, 2.0], True)
    losses.add(torch.tensor(1.0))
    losses.add(torch.tensor(torch.inf))
    losses.add(torch.tensor(torch.nan))
    with pytest.raises(PeelVitError, match="the loss is inf at step 9;"):
        losses.take(10, stop=False)


def test_weights_of_presentations_scale_their_losses(batch: MixedBatch) -> None:
    objective = Objective(toy(), 10, 0.1)
    one = objective(replace(batch, weights=torch.ones(12)), DENSE).loss
    assert objective(replace(batch, weights=None), DENSE).loss == one
    torch.testing.assert_close(objective(replace(batch, weights=torch.full((12,), 2.0)), DENSE).loss, 2 * one)


def test_losses_of_the_token_method_are_added(batch: MixedBatch) -> None:
    model = toy()
    plain = Objective(model, 10, 0.1)(batch, DENSE).loss
    model.token_method.losses = lambda output, labels, teacher: {"a": torch.tensor(1.0), "b": torch.tensor(0.5)}
    torch.testing.assert_close(Objective(model, 10, 0.1)(batch, DENSE).loss, plain + 1.5)


def test_bfloat16_on_a_cpu_and_no_float16(batch: MixedBatch) -> None:
    update = updater(toy(), Options(amp=True))
    assert torch.isfinite(update(batch, Keep(0.7, 0.5), lambda outcome, part: None))
    with pytest.raises(PeelVitError, match="float16 needs a GPU"):
        Precision(Options(amp=True, amp_dtype="float16"), CPU)


# Moving average


@pytest.mark.parametrize("warmup", [False, True])
def test_the_average_is_timms(warmup: bool) -> None:
    model = nn.Linear(2, 2)
    model.register_buffer("count", torch.tensor([7]))
    average = WeightAverage(model, 0.9, warmup=warmup)
    expected = torch.zeros(2, 2)
    for update in range(5):
        with torch.no_grad():
            model.weight.fill_(update + 1.0)
        average.update(model)
        step = max(0, update + 1 - 0 - 1)  # as ModelEmaV3.get_decay(step=update + 1)
        decay = 0.0 if step == 0 else (min(0.9, 1 - (1 + step) ** -(2 / 3)) if warmup else 0.9)
        expected = decay * expected + (1 - decay) * (update + 1.0)
    torch.testing.assert_close(average.model.weight, expected)
    assert average.model.count == 7
    again = WeightAverage(nn.Linear(2, 2), 0.9)
    with pytest.raises(RuntimeError):
        again.load_state_dict(average.state_dict())  # another model's


# Evaluation


class _Fixed(nn.Module):
    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, images: Tensor, keep: Keep) -> Any:
        return type("Output", (), {"logits": self.logits[images[:, 0].long()]})


def test_evaluation_counts_each_image_once_and_any_right_label() -> None:
    logits = torch.tensor([[9.0, 8, 7, 6, 5, 4, 3], [9.0, 8, 7, 6, 5, 4, 3]])
    model, precision = _Fixed(logits), Precision(Options(), CPU)
    images, mask = torch.tensor([[0], [1], [1]]), torch.tensor([True, True, False])
    single = evaluate(model, [(images, torch.tensor([0, 4, 0]), mask)], DENSE, precision)
    assert (single.top1, single.top5, single.images) == (50.0, 100.0, 2)
    assert single.loss == pytest.approx(nn.functional.cross_entropy(logits, torch.tensor([0, 4])).item())
    several = evaluate(model, [(images, torch.tensor([[0, -1], [6, 0], [0, 1]]), mask)], DENSE, precision)
    assert (several.top1, several.top5) == (100.0, 100.0)
    with pytest.raises(PeelVitError, match="no images to evaluate"):
        evaluate(model, [(images, torch.tensor([0, 4, 0]), mask & False)], DENSE, precision)


def test_the_best_epochs() -> None:
    best = BestEpochs("loss", 2)
    gone = [best.add(epoch, Evaluation(loss, 0, 0, 1, 0)) for epoch, loss in enumerate([3.0, 2.0, 2.0, 1.0])]
    assert gone == [[], [], [0], [2]]
    assert (best.best, best.ranking) == (3, [(3, 1.0), (1, 2.0)])


# Files


def test_a_checkpoint_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / checkpoint.NAME
    for value in (1.0, 2.0):
        checkpoint.save(path, {"tensor": torch.full((3,), value), "list": [[1, 2.5]], "none": None})
    content = checkpoint.load(checkpoint.find(tmp_path))
    assert torch.equal(content["tensor"], torch.full((3,), 2.0))
    assert content["list"] == [[1, 2.5]]
    assert checkpoint.load(path.with_name(path.name + ".previous"))["tensor"][0] == 1.0


@pytest.mark.parametrize("damage", ["cut", "flip", "text"])
def test_a_damaged_checkpoint_is_explained(tmp_path: Path, damage: str) -> None:
    path = tmp_path / checkpoint.NAME
    checkpoint.save(path, {"tensor": torch.arange(100.0)})
    content = bytearray(path.read_bytes())
    if damage == "flip":
        with zipfile.ZipFile(path) as archive:
            member = next(info for info in archive.infolist() if info.filename.endswith("data/0"))
        content[member.header_offset + 200] ^= 1
    path.write_bytes({"cut": bytes(content[:-100]), "flip": bytes(content), "text": b"weights"}[damage])
    with pytest.raises(CheckpointError, match="is cut off, damaged or no checkpoint of this program"):
        checkpoint.load(path)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / checkpoint.NAME
    checkpoint.save(path, {"value": 1})

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match=r"the disk is full.*the one before it is intact; .* with --resume$"):
        checkpoint.save(path, {"value": 2})
    with pytest.raises(CheckpointError, match=r"there is none before it; free some space and start again$"):
        checkpoint.save(tmp_path / "other" / checkpoint.NAME, {"value": 2})
    (tmp_path / "other").rmdir()
    assert checkpoint.load(path)["value"] == 1
    assert [file.name for file in tmp_path.iterdir()] == [checkpoint.NAME]


def test_a_copy_outlives_its_source(tmp_path: Path) -> None:
    path, copied = tmp_path / checkpoint.NAME, checkpoint.of_epoch(tmp_path, 3)
    checkpoint.save(path, {"value": 1})
    checkpoint.keep_copy(path, copied)
    checkpoint.save(path, {"value": 2})
    assert checkpoint.load(copied)["value"] == 1


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_come_back(tmp_path: Path, suffix: str) -> None:
    model, path = toy(seed=1), tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in model.state_dict().items()}}, path)
    else:
        save_weights(path, model)
    other = toy(seed=2)
    start_from(other, path)
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_another_number_of_classes(tmp_path: Path) -> None:
    path, model = tmp_path / "weights.safetensors", toy(classes=7, seed=2)
    save_weights(path, toy(seed=1))
    with pytest.raises(PeelVitError, match="has 10 classes but the model has 7; use --reset-head"):
        start_from(model, path)
    fresh = model.state_dict()["head.weight"].clone()
    start_from(model, path, reset_head=True)
    assert torch.equal(model.state_dict()["head.weight"], fresh)
    assert torch.equal(model.state_dict()["norm.weight"], load_weights(path)["norm.weight"])


def test_an_older_swin_with_a_new_head(tmp_path: Path) -> None:
    """Its head had no pooling around it and its stages ended with merging: old names, and still a head."""
    path, name = tmp_path / "swin.pth", "swin_micro_patch2_window4_32"
    source, model = create_model(name, num_classes=10, seed=1), create_model(name, num_classes=7, seed=2)
    torch.save({_old_name(key): tensor for key, tensor in source.state_dict().items()}, path)
    with pytest.raises(PeelVitError, match="has 10 classes but the model has 7; use --reset-head"):
        start_from(model, path)
    head = {key: tensor.clone() for key, tensor in model.state_dict().items() if key.startswith("head.")}
    start_from(model, path, reset_head=True)
    for key, tensor in (source.state_dict() | head).items():
        assert torch.equal(model.state_dict()[key], tensor)


def _old_name(name: str) -> str:
    layer, downsample, rest = name.replace("head.fc.", "head.").partition(".downsample")
    return f"layers.{int(layer.removeprefix('layers.')) - 1}{downsample}{rest}" if downsample else layer


@pytest.mark.parametrize(
    "content, sentence", [(None, "there is no file"), (b"no", "is damaged or holds more than tensors")]
)
@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_weights_that_cannot_be_read(tmp_path: Path, content: bytes | None, sentence: str, name: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PeelVitError, match=sentence):
        start_from(toy(), path)


# Small things


def test_seeds_depend_on_all_three() -> None:
    words = [(seed, update, rank) for seed in range(3) for update in range(3) for rank in range(3)]
    seeds = {derived_seed(*three) for three in words}
    assert len(seeds) == len(words)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_stopwatch_counts_open_parts_and_waits() -> None:
    watch = Stopwatch(CPU)
    with watch.of_host("train"):
        assert list(watch.waits("ab", "data")) == ["a", "b"]
        first = watch.take()
    second = watch.take()
    assert first["train"] > 0
    assert second["train"] > 0
    assert first["data"] > 0
    assert "data" not in second
