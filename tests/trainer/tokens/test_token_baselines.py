"""What is special to each token baseline, against plain references and by its own promises."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from host.errors import PeelVitError
from host.schedules import token_counts
from trainer.keep import Keep
from trainer.models.output import ModelOutput
from trainer.models.registry import create_model
from trainer.tokens.dynamic_vit import KeepPredictor, draw_decisions
from trainer.tokens.ia_red2 import above_threshold, advantage
from trainer.tokens.static import spread_order
from trainer.tokens.tome import TokenMerging, merge_tokens

MODEL = "vit:image=20,patch=4,dim=24,depth=6,heads=3,mlp=32,classes=5"
SHALLOW = MODEL.replace("depth=6", "depth=2")
PLACES = (2, 4, 6)
PRUNED = Keep(0.6)


def make(name: str, *, size: str = MODEL, training: bool = False, **arguments: object) -> nn.Module:
    model = create_model(size, token_method=name, **{"select_before": PLACES} | arguments)
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model.train(training)


def images(batch: int = 4) -> Tensor:
    return torch.randn(batch, 3, 20, 20, generator=torch.Generator().manual_seed(2))


def output_with(aux: dict[str, Tensor], logits: Tensor, tokens: Tensor) -> ModelOutput:
    return ModelOutput(logits, tokens, [], [], torch.zeros(len(logits)), aux)


def pruned_gradients(model: nn.Module, keep: Keep) -> tuple[Tensor, ModelOutput]:
    """Whether each patch [B, N] in front of the first selector has a gradient from the logits."""
    record: dict[str, Tensor] = {}
    output = model(images(), keep, record=record)
    output.logits.square().sum().backward()
    return record[f"blocks.{PLACES[0] - 2}.out"].grad[:, 1:].abs().sum(dim=2) > 0, output


# Static


@given(st.integers(1, 200))
def test_spread_order_has_every_patch_once(patches: int) -> None:
    assert sorted(spread_order(patches)) == list(range(patches))


@pytest.mark.parametrize("count", [4, 9, 25, 50, 100])
def test_spread_positions_are_spread(count: int) -> None:
    """No empty disc larger than twice the radius that the best arrangement of `count` points leaves."""
    cells = torch.tensor([divmod(patch, 14) for patch in range(196)], dtype=torch.float64)
    chosen = cells[list(spread_order(196)[:count])]
    farthest_gap = torch.cdist(cells, chosen).amin(dim=1).max()
    assert farthest_gap <= 2 * (2 / 27**0.5 * 196 / count) ** 0.5


def test_static_is_the_same_in_every_image_and_nested() -> None:
    output = make("static")(images(), PRUNED)
    assert [kept.shape[1] for kept in output.kept] == token_counts(25, 0.6, 3)
    for kept in output.kept:
        assert (kept == kept[0]).all()
    patches = torch.arange(25)
    for number, kept in enumerate(output.kept):
        patches = patches[kept[0]]
        assert patches.tolist() == sorted(spread_order(25)[: token_counts(25, 0.6, 3)[number]])


# EViT


def test_evit_is_the_papers_selector_inside_with_a_fused_token() -> None:
    evit = make("evit")(images(), PRUNED)
    ours = make("trilevel", placement="inside", method_options={"fused_token": True})(images(), PRUNED)
    assert torch.equal(evit.logits, ours.logits)
    assert all(torch.equal(*pair) for pair in zip(evit.kept, ours.kept, strict=True))


def test_evit_keeps_information_of_pruned_patches() -> None:
    model = make("evit")
    assert pruned_gradients(model, PRUNED)[0].all()


# Evo-ViT


def evo_reference(model: nn.Module, image: Tensor, count: int, first_block: int, t: float) -> Tensor:
    """Logits of one image, token by token."""
    x = torch.cat([model.cls_token[0], model.patch_embed(image[None])[0]]) + model.pos_embed[0]
    rank: dict[int, float] = {}
    for number, block in enumerate(model.blocks, 1):
        if number < first_block:
            rows = list(range(len(x)))
            entering = x
        else:
            slow = sorted(sorted(rank, key=lambda patch: -rank[patch])[:count])
            fast = [patch for patch in rank if patch not in slow]
            total = sum(rank[patch] for patch in fast)
            representative = sum(rank[patch] / total * x[1 + patch] for patch in fast)
            rows = [0, *(1 + patch for patch in slow)]
            entering = torch.cat([x[rows], representative[None]])
        q, k, _ = block.attn.qkv(block.norm1(entering)).reshape(len(entering), 3, 3, 8).permute(1, 2, 0, 3)
        attention = (q[:, :1] @ k.transpose(1, 2) / 8**0.5).softmax(-1).mean(0)[0]
        leaving = block(entering[None])[0][0]
        updated = x + (leaving - entering)[-1]
        for place, row in enumerate(rows):
            updated[row] = leaving[place]
            if row:
                old = rank.get(row - 1)
                now = attention[place].item()
                rank[row - 1] = now if old is None else (1 - t) * old + t * now
        x = updated
    return model.head(model.norm(x)[0])


@pytest.mark.parametrize("first_block, tradeoff", [(2, 0.5), (3, 0.2), (5, 1.0)])
def test_evo_vit_against_one_token_at_a_time(first_block: int, tradeoff: float) -> None:
    model = make("evo_vit", method_options={"first_block": first_block, "tradeoff": tradeoff}).double()
    output = model(images().double(), PRUNED)
    expected = torch.stack([evo_reference(model, image, 15, first_block, tradeoff) for image in images().double()])
    assert torch.allclose(output.logits, expected, atol=1e-10)
    assert output.aux["evo_vit.slow"].shape == (4, 7 - first_block, 15)
    assert output.tokens.shape == (4, 26, 24)


def test_evo_vit_starts_at_the_papers_block_and_keeps_information_of_all_patches() -> None:
    assert make("evo_vit").token_method.first_block == 5
    model = make("evo_vit", method_options={"first_block": 2})
    assert pruned_gradients(model, PRUNED)[0].all()


# DynamicViT


def test_dynamic_vit_masks_in_training_and_its_drops_have_gradients() -> None:
    torch.manual_seed(3)
    output = make("dynamic_vit", training=True)(images(), PRUNED)
    fractions, decisions = output.aux["dynamic_vit.fractions"], output.aux["dynamic_vit.decisions"]
    assert output.tokens.shape == (4, 26, 24)
    assert not output.kept
    assert set(decisions.unique().tolist()) <= {0.0, 1.0}
    assert torch.allclose(fractions[:, -1], decisions.mean(dim=1))
    assert (fractions.diff(dim=1) <= 0).all()
    assert torch.allclose(output.aux["dynamic_vit.targets"], torch.tensor([0.6, 0.36, 0.216]))


def test_dynamic_vit_evaluates_the_patches_of_the_highest_keep_probability() -> None:
    model, record = make("dynamic_vit"), {}
    output = model(images(), PRUNED, record=record)
    scores = model.token_method.predictors[0](record["blocks.0.out"][:, 1:])[:, :, 0]
    assert torch.equal(output.kept[0], scores.topk(15).indices.sort(dim=1).values)
    assert [kept.shape[1] for kept in output.kept] == token_counts(25, 0.6, 3)


def test_global_features_are_those_of_kept_patches() -> None:
    predictor = KeepPredictor(12)
    for parameter in predictor.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(4))
    x = torch.randn(2, 6, 12, generator=torch.Generator().manual_seed(5))
    decisions = torch.tensor([[1.0, 1, 0, 1, 0, 0]] * 2)
    kept = decisions[0] > 0
    assert torch.allclose(predictor(x, decisions)[:, kept], predictor(x[:, kept]), atol=1e-5)
    assert torch.isfinite(predictor(x, torch.zeros(2, 6))).all()
    assert torch.allclose(predictor(x).exp().sum(dim=2), torch.ones(2, 6))


def test_decisions_follow_their_probabilities_with_a_straight_through_gradient() -> None:
    torch.manual_seed(3)
    scores = torch.tensor([0.8, 0.2]).log().expand(1, 20_000, 2).clone().requires_grad_()
    decisions = draw_decisions(scores)
    assert decisions.mean().item() == pytest.approx(0.8, abs=0.01)
    decisions.sum().backward()
    assert (scores.grad[:, :, 0] > 0).all()
    assert (scores.grad[:, :, 1] < 0).all()
    assert (draw_decisions(scores, everything=True) == 1).all()


def dynamic_losses(fractions: Tensor, targets: Tensor, teacher: bool = False) -> dict[str, Tensor]:
    method = make("dynamic_vit").token_method
    generator = torch.Generator().manual_seed(6)
    aux = {
        "dynamic_vit.fractions": fractions,
        "dynamic_vit.targets": targets,
        "dynamic_vit.decisions": torch.tensor([[1.0, 0.0], [1.0, 1.0]]),
    }
    student = output_with(aux, torch.randn(2, 5, generator=generator), torch.randn(2, 3, 4, generator=generator))
    other = output_with({}, torch.randn(2, 5, generator=generator), torch.randn(2, 3, 4, generator=generator))
    losses = method.losses(student, torch.zeros(2), other if teacher else None)
    if teacher:
        p, q = other.logits.softmax(1), student.logits.softmax(1)
        assert losses["distilled_logits"].item() == pytest.approx(0.5 * (p * (p / q).log()).sum(1).mean().item(), 1e-4)
        error = (student.tokens - other.tokens).square()
        rows = torch.stack([error[0, 1], error[1, 1], error[1, 2]])
        assert losses["distilled_tokens"].item() == pytest.approx(0.5 * rows.mean().item())
        same = method.losses(student, torch.zeros(2), replace(student, aux={}))
        assert same["distilled_logits"].item() == pytest.approx(0.0, abs=1e-6)
        assert same["distilled_tokens"].item() == 0.0
    return losses


def test_dynamic_vit_losses() -> None:
    targets = torch.tensor([0.7, 0.49, 0.343])
    assert dynamic_losses(targets.expand(2, 3), targets) == {"ratio": 0.0}
    assert dynamic_losses(targets + 0.1, targets)["ratio"].item() == pytest.approx(2.0 * 0.01, rel=1e-4)
    fractions = torch.full((2, 3), 0.9, requires_grad=True)
    dynamic_losses(fractions, targets, teacher=True)["ratio"].backward()
    assert (fractions.grad > 0).all(), "keeping too much must be made less"


def test_ratio_loss_brings_the_kept_part_to_its_target() -> None:
    torch.manual_seed(3)
    model = make("dynamic_vit", size=SHALLOW, training=True)
    optimizer = torch.optim.Adam(model.token_method.parameters(), lr=0.02)
    fractions = []
    for _ in range(60):
        output = model(images(), Keep(0.3))
        fractions.append(output.aux["dynamic_vit.fractions"].mean().item())
        loss = sum(model.token_method.losses(output, torch.zeros(4), None).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert sum(fractions[-10:]) / 10 == pytest.approx(0.3, abs=0.06)
    assert fractions[0] > 0.4


def test_another_models_teacher_is_refused() -> None:
    model = make("dynamic_vit", training=True)
    output = model(images(), PRUNED)
    teacher = create_model("vit:image=20,patch=5,dim=24,depth=2,heads=3,mlp=32,classes=5", token_method="dense")
    with pytest.raises(PeelVitError, match="dense teacher of the same model"):
        model.token_method.losses(output, torch.zeros(4), teacher(images()))


@pytest.mark.parametrize("distil", [True, False])
def test_dynamic_vit_wants_a_teacher_unless_it_starts_from_scratch(distil: bool) -> None:
    method = make("dynamic_vit", method_options={"distil": distil}).token_method
    assert method.needs_teacher is distil


# IA-RED2


def test_ia_red2_masks_what_it_drops() -> None:
    torch.manual_seed(3)
    has_gradient, output = pruned_gradients(make("ia_red2", training=True, select_before=(2,)), PRUNED)
    assert torch.equal(has_gradient, output.aux["ia_red2.alive"])
    assert 0 < output.aux["ia_red2.fractions"].mean() < 1


def test_ia_red2_evaluation_pads_to_the_longest_image() -> None:
    model = make("ia_red2")
    for interpreter in model.token_method.interpreters:
        nn.init.constant_(interpreter.offset, 0.0)
        interpreter.query.weight.data *= 10
    output = model(images(), PRUNED)
    alive = output.aux["ia_red2.alive"].sum(dim=1)
    assert output.tokens.shape[1] == 1 + alive.max()
    assert alive.min() < alive.max() < 25


def test_at_least_one_patch_is_left() -> None:
    p = torch.tensor([[0.1, 0.3, 0.2], [0.6, 0.4, 0.5]])
    assert above_threshold(p).tolist() == [[False, True, False], [True, False, True]]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6))
def test_advantage_is_over_the_others(rewards: list[float]) -> None:
    gain = advantage(torch.tensor(rewards, dtype=torch.float64)[:, None])[:, 0].tolist()
    for image, reward in enumerate(rewards):
        others = rewards[:image] + rewards[image + 1 :]
        assert gain[image] == pytest.approx(reward - (sum(others) / len(others) if others else 0.0))


def test_policy_loss_rewards_few_patches_and_right_predictions() -> None:
    method = make("ia_red2").token_method
    log_probabilities = torch.full((3, 1), -0.5, requires_grad=True)
    aux = {
        "ia_red2.fractions": torch.tensor([[0.2], [0.9], [0.2]]),
        "ia_red2.log_probabilities": log_probabilities,
    }
    logits = functional.one_hot(torch.tensor([1, 1, 2]), 5).float()
    loss = method.losses(output_with(aux, logits, torch.zeros(3, 2, 4)), torch.tensor([1, 1, 1]), None)["policy"]
    loss.backward()
    rewards = torch.tensor([1 - 0.04, 1 - 0.81, -0.5])
    expected = torch.stack([rewards[i] - (rewards.sum() - rewards[i]) / 2 for i in range(3)])
    assert torch.allclose(log_probabilities.grad[:, 0], -expected / 3)
    assert log_probabilities.grad[0] < 0 < log_probabilities.grad[2], "descent makes the rewarded draw more probable"


def test_interpreters_learn_to_drop_what_is_not_needed() -> None:
    torch.manual_seed(3)
    model = make("ia_red2", size=SHALLOW, training=True)
    optimizer = torch.optim.Adam(model.token_method.parameters(), lr=0.03)
    fractions = []
    for _ in range(40):
        output = model(images(8), PRUNED)
        loss = model.token_method.losses(output, output.logits.argmax(dim=1), None)["policy"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        fractions.append(output.aux["ia_red2.fractions"].mean().item())
    assert sum(fractions[-5:]) < 0.7 * sum(fractions[:5])


# PatchDropout


def test_patch_dropout_draws_anew_for_every_image_and_drops_nothing_in_evaluation() -> None:
    torch.manual_seed(3)
    model = make("patch_dropout", training=True)
    kept = model(images(), PRUNED).kept[0]
    assert kept.shape == (4, 15)
    assert len({tuple(row) for row in kept.tolist()}) > 1
    assert not torch.equal(kept, model(images(), PRUNED).kept[0])
    output = model.eval()(images(), PRUNED)
    assert not output.kept
    assert output.tokens.shape[1] == 26


# ToMe


@settings(max_examples=40)
@given(tokens=st.integers(3, 30), prefix=st.integers(0, 1), data=st.data())
def test_merging_keeps_the_mass_of_tokens(tokens: int, prefix: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, (tokens - prefix) // 2))
    generator = torch.Generator().manual_seed(tokens)
    x = torch.randn(2, tokens, 4, dtype=torch.float64, generator=generator)
    keys = torch.randn(2, tokens, 3, generator=generator)
    sizes = torch.randint(1, 5, (2, tokens), generator=generator).double()
    merged, left = merge_tokens(x, sizes, keys, count, prefix)
    assert merged.shape == (2, tokens - count, 4)
    assert torch.equal(left.sum(1), sizes.sum(1))
    assert torch.allclose((merged * left[:, :, None]).sum(1), (x * sizes[:, :, None]).sum(1))
    if prefix:
        assert torch.allclose(merged[:, 0], x[:, 0])
        assert torch.equal(left[:, 0], sizes[:, 0])


def test_the_most_similar_pair_is_merged() -> None:
    keys = torch.tensor([[[1.0, 0], [0, 1], [1, 1], [-1, 0], [0, 5], [3, 3.1]]])  # sources 0 2 4, targets 1 3 5
    x = torch.arange(6.0).reshape(1, 6, 1)
    merged, sizes = merge_tokens(x, torch.ones(1, 6), keys, 2, prefix=1)
    assert merged[0, :, 0].tolist() == [0.0, 2.5, 3.0, 3.5]  # 4 joined 1, 2 joined 5
    assert sizes[0].tolist() == [1.0, 2.0, 1.0, 2.0]


@pytest.mark.parametrize("ratio", [0.9, 0.8, 0.7, 0.6])
def test_tome_computes_as_much_as_the_papers_selector(ratio: float) -> None:
    """Tokens of the linear layers: a third of a block's work is in front of its merge, two thirds behind."""
    merges = TokenMerging().merges(196, ratio, 12)
    after = [196 - sum(merges[: block + 1]) for block in range(12)]
    before = [196, *after[:-1]]
    counts = [196] * 3 + [count for count in token_counts(196, ratio, 3) for _ in range(3)]
    work = sum(before) / 3 + sum(after) * 2 / 3
    assert work == pytest.approx(sum(counts), abs=6)
    assert max(merges) - min(merges) <= 1


def test_tome_takes_r_and_never_merges_more_than_half() -> None:
    assert TokenMerging(r=13).merges(196, 0.7, 12) == [13] * 12
    assert TokenMerging(r=13).merges(196, 1.0, 12) == [0] * 12
    assert TokenMerging(r=100).merges(9, 0.5, 4) == [4, 2, 1, 1]
    with pytest.raises(PeelVitError, match="give r from 0"):
        TokenMerging(r=-1)


def test_tome_accounts_for_every_patch_and_keeps_their_information() -> None:
    model = make("tome")
    has_gradient, output = pruned_gradients(model, PRUNED)
    sizes = output.aux["tome.sizes"]
    assert has_gradient.all()
    assert sizes.shape[1] == output.tokens.shape[1] == 26 - sum(model.token_method.merges(25, 0.6, 6))
    assert (sizes.sum(dim=1) == 26).all()
    assert (sizes[:, 0] == 1).all()
