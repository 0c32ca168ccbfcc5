"""What every registered token method keeps to; a new method is tested by being registered."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from host.errors import PeelVitError
from host.schedules import kept_count
from trainer.attention.connections import Connections, LazyProbabilities
from trainer.keep import DENSE, Counts, Keep
from trainer.models.output import ModelOutput
from trainer.models.registry import create_model
from trainer.models.timm_state import load_timm_state
from trainer.record import Recorder
from trainer.tokens.method import ForwardState
from trainer.tokens.registry import TOKEN_METHODS, ModelFacts, create_token_method

MODEL = "vit:image=20,patch=4,dim=24,depth=6,heads=3,mlp=32,classes=5"
PLACES = (2, 4, 6)
PRUNED = Keep(0.6)

METHODS = sorted(TOKEN_METHODS)
PRUNING = sorted(set(TOKEN_METHODS) - {"dense"})
every_method = pytest.mark.parametrize("name", METHODS)
pruning_method = pytest.mark.parametrize("name", PRUNING)


def keep_of(name: str) -> Keep:
    return DENSE if name == "dense" else PRUNED


def make(name: str, *, spread: bool = True, **options: object) -> nn.Module:
    model = create_model(MODEL, token_method=name, select_before=PLACES, **options)
    if spread:  # weights large enough for attention to differ between tokens
        generator = torch.Generator().manual_seed(1)
        for parameter in model.parameters():
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


def images(batch: int = 4, size: int = 20) -> Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(2))


def labels(batch: int = 4) -> Tensor:
    return torch.arange(batch) % 5


def total_loss(model: nn.Module, output: ModelOutput) -> Tensor:
    wanted = labels(len(output.logits))
    own = model.token_method.losses(output, wanted, None)
    return functional.cross_entropy(output.logits, wanted) + sum(own.values())


class IdleBlock:
    """Leaves tokens as they are and attends at random."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def attend(self, x: Tensor, connections: Connections, record: Recorder) -> tuple[Tensor, LazyProbabilities]:
        q, k = torch.randn(2, len(x), 3, x.shape[1], 8, generator=self.generator)
        return x, LazyProbabilities(q, k)

    def feed_forward(self, x: Tensor, record: Recorder) -> Tensor:
        return x


def run_idle(name: str, x: Tensor, training: bool) -> tuple[Tensor, ForwardState]:
    method = create_token_method(name, ModelFacts(x.shape[2], 3, 6, x.shape[1] - 1, 5), PLACES).train(training)
    state = ForwardState(keep_of(name))
    return method([IdleBlock(seed) for seed in range(6)], x, state), state


@every_method
def test_trains(name: str) -> None:
    torch.manual_seed(3)
    model = make(name, spread=False).train()
    before = {key: parameter.detach().clone() for key, parameter in model.named_parameters()}
    losses = []
    for _ in range(12):
        output = model(images(), keep_of(name))
        losses.append(functional.cross_entropy(output.logits, labels()).item())
        model.zero_grad()
        total_loss(model, output).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.2 * parameter.grad
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    changed = {key.split(".")[0] for key, now in model.named_parameters() if not torch.equal(now, before[key])}
    assert changed == {key.split(".")[0] for key in before}
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("keep", [DENSE, PRUNED], ids=["dense", "pruned"])
@every_method
def test_every_parameter_has_a_gradient_in_every_step(name: str, keep: Keep) -> None:
    """DistributedDataParallel needs no search for unused parameters."""
    if name == "dense":
        keep = DENSE
    torch.manual_seed(3)
    model = make(name).train()
    total_loss(model, model(images(), keep)).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@every_method
def test_keeping_everything_is_the_dense_model(name: str, training: bool) -> None:
    torch.manual_seed(3)
    model, dense = make(name).train(training), make("dense").train(training)
    load_timm_state(model, dense.state_dict())
    output, expected = model(images(), DENSE), dense(images(), DENSE)
    assert torch.allclose(output.logits, expected.logits, atol=1e-5)
    assert torch.allclose(output.tokens, expected.tokens, atol=1e-5)
    assert torch.allclose(output.attention_variance, expected.attention_variance, atol=1e-6)


@every_method
def test_evaluation_is_deterministic_and_draws_nothing(name: str) -> None:
    model = make(name).eval()
    torch.manual_seed(3)
    first = model(images(), keep_of(name)).logits
    drawn = torch.rand(1)
    second = model(images(), keep_of(name)).logits
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), drawn)
    assert torch.equal(first, second)


@every_method
def test_training_is_a_function_of_the_global_seed(name: str) -> None:
    model = make(name, drop_path_rate=0.2).train()

    def step(seed: int) -> tuple[Tensor, Tensor]:
        torch.manual_seed(seed)
        model.zero_grad()
        loss = total_loss(model, model(images(), keep_of(name)))
        loss.backward()
        return loss.detach(), model.patch_embed.proj.weight.grad.clone()

    first, again, other = step(5), step(5), step(6)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


@every_method
def test_an_image_does_not_depend_on_its_batch(name: str) -> None:
    model = make(name).eval()
    whole = model(images(), keep_of(name)).logits
    alone = torch.cat([model(image[None], keep_of(name)).logits for image in images()])
    assert torch.allclose(whole, alone, atol=1e-5)


@every_method
def test_making_a_model_draws_nothing_and_its_seed_decides(name: str) -> None:
    torch.manual_seed(3)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    first, same, other = (make(name, spread=False, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), drawn)
    for key, tensor in first.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[key])
        if key.startswith("token_method.") and tensor.ndim == 2:
            assert not torch.equal(tensor, other.state_dict()[key])


@every_method
def test_attention_variance_is_detached_and_one_an_image(name: str) -> None:
    for training in (True, False):
        variance = make(name).train(training)(images(), keep_of(name)).attention_variance
        assert variance.shape == (4,)
        assert not variance.requires_grad
        assert torch.isfinite(variance).all()


@cache
def resizable(name: str) -> nn.Module:
    return make(name, dynamic_img_size=True)


@pruning_method
@settings(max_examples=12)
@given(side=st.integers(2, 7), ratio=st.floats(0.01, 1.0), training=st.booleans())
def test_token_counts(name: str, side: int, ratio: float, training: bool) -> None:
    """`kept` is exact, ascending, and accounts for all tokens that are left; what merges or masks says so in `aux`."""
    model = resizable(name).train(training)
    output = model(images(2, 4 * side), Keep(ratio))
    tokens = side * side
    for kept in output.kept:
        assert kept.shape == (2, kept_count(tokens, ratio))
        assert (kept.diff(dim=1) > 0).all()
        assert kept.min() >= 0
        assert kept.max() < tokens
        tokens = kept.shape[1] + int(name == "evit" and kept.shape[1] < tokens)
    assert len(output.keys) == len(output.kept)
    if name not in ("tome", "ia_red2"):
        assert output.tokens.shape[1] == 1 + tokens
    assert torch.isfinite(output.logits).all()


@every_method
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_class_token_is_kept_and_kept_patches_are_originals(name: str, training: bool) -> None:
    """Behind blocks that change nothing the class token is first and as it was."""
    torch.manual_seed(3)
    x = torch.randn(3, 26, 24)
    out, state = run_idle(name, x, training)
    assert torch.equal(out[:, 0], x[:, 0])
    method = create_token_method(name, ModelFacts(24, 3, 6, 25, 5), PLACES)
    if method.keeps_order and (state.kept or out.shape == x.shape):
        patches = torch.arange(25).expand(3, -1)
        for kept in state.kept:
            patches = patches.gather(1, kept)
        assert torch.allclose(out[:, 1:], x[:, 1:].gather(1, patches[:, :, None].expand(-1, -1, 24)), atol=1e-6)


@pruning_method
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_gradients_flow_to_kept_tokens_only(name: str, training: bool) -> None:
    """Where patches are gathered away, the loss does not depend on what they were at the selector.

    Methods that keep information of all patches (fused, merged, summarised, softly masked) have gradients for all.
    """
    torch.manual_seed(3)
    model = make(name).train(training)
    record: dict[str, Tensor] = {}
    output = model(images(), PRUNED, record=record)
    output.logits.square().sum().backward()
    entering = record["tokens"] if name == "patch_dropout" else record[f"blocks.{PLACES[0] - 2}.out"]
    gradient_BN = entering.grad[:, 1:].abs().sum(dim=2)
    if name == "ia_red2":
        kept_BN = output.aux["ia_red2.alive"]
        assert (gradient_BN[kept_BN] > 0).all()
        return
    kept_BN = torch.ones_like(gradient_BN, dtype=torch.bool)
    if output.kept and model.token_method.keeps_order:
        kept_BN = torch.zeros_like(kept_BN).scatter(1, output.kept[0], True)
    assert (gradient_BN[~kept_BN] == 0).all()
    assert (gradient_BN[kept_BN] > 0).all()


@pruning_method
def test_pruning_changes_the_prediction(name: str) -> None:
    """Otherwise the tests above would not see a method that does nothing."""
    torch.manual_seed(3)
    model = make(name).train(name == "patch_dropout")
    if name == "ia_red2":
        lower_offsets(model)
    assert not torch.allclose(model(images(), PRUNED).logits, model(images(), DENSE).logits, atol=1e-4)


def lower_offsets(model: nn.Module) -> None:
    for interpreter in model.token_method.interpreters:
        nn.init.constant_(interpreter.offset, 0.0)


@every_method
def test_timm_weights_load_and_leave_predictors_alone(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    weights = make("dense").state_dict()
    model = make(name, seed=9)
    own = {key: tensor.clone() for key, tensor in model.state_dict().items() if key not in weights}
    load_timm_state(model, weights)
    told = capsys.readouterr().out
    assert told.startswith(f"{len(weights)} of {len(weights)} tensors mapped")
    assert told.endswith(" fresh\n") == bool(own)
    assert all(key.startswith("token_method.") for key in own)
    for key, tensor in (weights | own).items():
        assert torch.equal(model.state_dict()[key], tensor)
    load_timm_state(make(name), model.state_dict())
    load_timm_state(make("dense"), model.state_dict())


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"trilevel"}))
def test_attention_sparsity_is_refused(name: str) -> None:
    with pytest.raises(PeelVitError, match=r"choose|use trilevel"):
        make(name)(images(), Keep(1.0, 0.5))


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"trilevel", "dense"}))
def test_forced_counts_are_refused(name: str) -> None:
    with pytest.raises(PeelVitError, match="keep ratios"):
        make(name)(images(), Counts((9, 5, 3)))


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"trilevel", "dense", "evit"}))
def test_a_placement_without_effect_is_refused(name: str) -> None:
    with pytest.raises(PeelVitError, match="leave the placement at before"):
        make(name, placement="inside")


@every_method
def test_every_block_is_recorded(name: str) -> None:
    record: dict[str, Tensor] = {}
    model = make(name).eval()
    recorded = model(images(), keep_of(name), record=record)
    assert {f"blocks.{block}.out" for block in range(6)} <= set(record)
    assert torch.allclose(recorded.logits, model(images(), keep_of(name)).logits, atol=1e-5)


@every_method
def test_mixed_precision_trains(name: str) -> None:
    torch.manual_seed(3)
    model = make(name).train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = total_loss(model, model(images(), keep_of(name)))
    loss.backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())
