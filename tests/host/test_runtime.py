from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from hls.spec.config import load
from hls.spec.status import Status
from host.data.pixels import PixelQuantiser, to_patches
from host.device import RunResult
from host.errors import CheckpointError, PeelVitError
from host.initialisation import initial_parameters
from host.model import Sparsity, ViTConfig
from host.parameters import device_parameters, to_timm
from host.runtime import Session, SessionOptions
from host.slots import INPUT_FRACTION
from sim.golden.device import GoldenDevice
from trainer.keep import Counts, Forced
from trainer.models.vit import VisionTransformer
from trainer.tokens.trilevel import TokenAttentionSelector

ZCU102 = load("zcu102")
MODEL = ViTConfig("digits", 8, 2, 1, 24, 3, 3, 32, 10)
SHALLOW = ViTConfig("shallow", 8, 2, 1, 24, 2, 3, 32, 10)
ODD = ViTConfig("odd", 6, 2, 3, 20, 2, 5, 18, 3)
SPARSE = Sparsity(0.8, 0.5, (2, 3))
PLACES = Sparsity(1.0, 1.0, (2, 3))
BATCH = 4


def digits(count, model=MODEL):
    """Patches of real digits cut and repeated to the model's size, and their labels."""
    data = load_digits()
    images = (data.images[:count] * (255 / 16)).astype(np.uint8)[:, : model.image_size, : model.image_size, None]
    images = np.repeat(images, model.channels, axis=3)
    quantise = PixelQuantiser([0.3] * model.channels, [0.38] * model.channels, INPUT_FRACTION)
    return to_patches(quantise(images), model.patch_size), data.target[:count] % model.classes


@pytest.fixture(scope="module")
def steady():
    """A session for tests that change nothing."""
    return session()


def weights_of(model=MODEL, scale=3.0):
    """Fresh weights, larger than usual so that attention and gradients are not all alike."""
    state = initial_parameters(model, 0)
    return {name: array * scale if array.ndim > 1 else array for name, array in state.items()}


def session(model=MODEL, sparsity=SPARSE, device=None, count=BATCH, **options):
    made = Session(device or GoldenDevice(ZCU102), model, sparsity, SessionOptions(**({"batch": BATCH} | options)))
    made.load_parameters(weights_of(model))
    made.calibrate(*digits(count, model))
    return made


def float_model(model=MODEL, places=(2, 3)):
    net = VisionTransformer(model, TokenAttentionSelector(places)).double()
    net.load_state_dict({name: torch.tensor(array) for name, array in weights_of(model).items()})
    return net


def as_float(patches):
    return torch.tensor(patches.astype(np.float64) * 2.0**-INPUT_FRACTION)


def gradients(made, patches, labels):
    """The weight gradients of one micro-batch, by timm's names."""
    made._runner.inputs.write_patches(patches)
    made._runner.inputs.write_labels(labels)
    made._runner.run(made.plan, "train")
    fractions = made.memory.read_slots(made.layout.training_slots)["f"]
    matrices = {
        p.name: np.ldexp(
            made.memory.read(f"grad.{p.name}").astype(np.float64), -int(fractions[made.layout.slot(f"grad.{p.name}")])
        )
        for p in device_parameters(made.model)
    }
    return to_timm(made.model, matrices)


def device_selection(made):
    """The tokens and keys that the device selected, for the float model to use the same."""
    plan, kept, keys = made.plan, [], []
    for index in plan.selectors:
        block = plan.blocks[index]
        chosen = made.memory.read(f"blocks.{index}.kept", columns=block.patches).astype(np.int64)
        kept.append(torch.tensor(chosen))
        if block.key_count is None:
            keys.append(None)
            continue
        rows = made.memory.read(f"blocks.{index}.keys", BATCH * block.patches, block.key_count).astype(np.int64)
        keys.append(torch.tensor(rows.reshape(BATCH, block.patches, -1)))
    return kept, keys


@pytest.mark.parametrize("model", [MODEL, ODD], ids=lambda model: model.name)
@pytest.mark.parametrize("sparsity", [Sparsity(0.8, 1.0, (2,)), Sparsity(0.8, 0.5, (2,))], ids=["tokens", "both"])
def test_weight_gradients_are_those_of_autograd(model, sparsity):
    made = session(model, sparsity)
    patches, labels = digits(BATCH, model)
    computed = gradients(made, patches, labels)
    net_places = [index + 1 for index in made.plan.selectors]
    net = float_model(model, net_places)
    kept, keys = device_selection(made)
    output = net(as_float(patches), Forced(kept, keys))
    torch.nn.functional.cross_entropy(output.logits, torch.tensor(labels), reduction="sum").backward()
    for name, parameter in net.named_parameters():
        wanted = parameter.grad.numpy()
        assert np.linalg.norm(computed[name] - wanted) < 0.01 * np.linalg.norm(wanted), name


def test_dense_logits_and_features_are_those_of_the_float_model():
    made = session(sparsity=Sparsity(), training=False, trace=True)
    patches, _ = digits(BATCH + 1)
    record = {}
    with torch.no_grad():
        wanted = float_model()(as_float(patches), record=record)
    assert np.abs(made.logits(patches) - wanted.logits.numpy()).max() < 0.01
    for name, computed in made.features(patches, ["tokens", "blocks.0.attn.qkv", "blocks.2.out", "norm"]).items():
        assert computed.shape == record[name].shape
        assert np.abs(computed - record[name].numpy()).max() < 0.01 * float(record[name].abs().max()), name


def test_a_training_step_reports_each_image():
    made = session()
    patches, labels = digits(BATCH)
    result = made.train_step(patches, labels, learning_rate=0.0)
    made.set_sparsity(SPARSE)
    kept, keys = device_selection(made)
    with torch.no_grad():
        wanted = float_model()(as_float(patches), Forced(kept, keys))
    losses = torch.nn.functional.cross_entropy(wanted.logits, torch.tensor(labels), reduction="none")
    assert np.abs(result.losses - losses.numpy()).max() < 0.01
    assert np.array_equal(result.predicted, wanted.logits.argmax(1).numpy())
    assert np.array_equal(result.correct, result.predicted == labels)
    assert result.attention_variance == pytest.approx(wanted.attention_variance.numpy(), rel=0.01)
    assert (result.saturations, result.cycles) == (0, 0)


@pytest.mark.parametrize("optimizer, rate", [("sgd", 0.1), ("adamw", 0.02), ("adamw-fabric", 0.02)])
def test_training_lowers_the_loss(optimizer, rate):
    made = session(SHALLOW, optimizer=optimizer)
    patches, labels = digits(BATCH)
    losses = [made.train_step(patches, labels, learning_rate=rate).losses.mean() for _ in range(8)]
    assert losses[-1] < 0.7 * losses[0]


def test_weights_follow_those_of_the_float_optimizer():
    made = session(sparsity=Sparsity(), batch=BATCH)
    patches, labels = digits(BATCH)
    net = float_model()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    for _ in range(3):
        made.train_step(patches, labels, learning_rate=0.01)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(as_float(patches)).logits, torch.tensor(labels)).backward()
        optimizer.step()
    start, computed = weights_of(), made.export_float()
    for name, tensor in net.state_dict().items():
        moved = tensor.numpy() - start[name]
        assert np.linalg.norm(computed[name] - tensor.numpy()) < 0.02 * np.linalg.norm(moved) + 1e-6, name


def test_adamw_on_the_fabric_follows_that_on_the_processor():
    patches, labels = digits(BATCH)
    on_processor, on_fabric = session(SHALLOW, optimizer="adamw"), session(SHALLOW, optimizer="adamw-fabric")
    for made in (on_processor, on_fabric):
        for _ in range(5):
            made.train_step(patches, labels, learning_rate=1e-4, weight_decay=0.05)
    wanted, computed, start = on_processor.export_float(), on_fabric.export_float(), weights_of(SHALLOW)
    for name in wanted:
        if name.endswith("qkv.bias"):
            continue  # the key's bias has no gradient but rounding noise, which AdamW enlarges
        moved = np.linalg.norm(wanted[name] - start[name])
        assert np.linalg.norm(computed[name] - wanted[name]) < 0.03 * moved, name


def test_accumulated_micro_batches_give_the_update_of_one_large_one():
    patches, labels = digits(2 * BATCH)
    small, large = session(SHALLOW, count=2 * BATCH), session(SHALLOW, batch=2 * BATCH, count=2 * BATCH)
    for made in (small, large):
        made.train_step(patches, labels, learning_rate=0.05)
    one, other, start = small.export_float(), large.export_float(), weights_of(SHALLOW)
    for name in one:
        assert np.linalg.norm(one[name] - other[name]) < 0.02 * np.linalg.norm(one[name] - start[name]) + 1e-6, name


def test_shared_memory_changes_nothing():
    """Tensors that share memory are never needed at once: a layout without sharing computes the same bits."""
    patches, labels = digits(BATCH)
    shared, traced = session(), session(trace=True)
    for made in (shared, traced):
        for _ in range(2):
            made.train_step(patches, labels, learning_rate=0.05)
    assert_same_state(shared, traced)
    assert np.array_equal(shared.logits(patches), traced.logits(patches))


def assert_same_state(one, other):
    first, second = one.state(), other.state()
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "adamw-fabric"])
def test_a_resumed_run_continues_bit_for_bit(optimizer):
    patches, labels = digits(BATCH)
    straight, stopped = (session(SHALLOW, optimizer=optimizer) for _ in range(2))
    for made in (straight, stopped):
        made.train_step(patches, labels, learning_rate=0.01, weight_decay=0.01)
    resumed = Session(GoldenDevice(ZCU102), SHALLOW, SPARSE, SessionOptions(BATCH, optimizer=optimizer))
    resumed.load_state({name: array.copy() for name, array in stopped.state().items()})
    for _ in range(2):
        for made in (straight, resumed):
            made.train_step(patches, labels, learning_rate=0.01, weight_decay=0.01)
    assert_same_state(straight, resumed)


def test_evaluation_leaves_the_training_as_it_was():
    patches, labels = digits(2 * BATCH)
    quiet, evaluated = session(SHALLOW), session(SHALLOW)
    for _ in range(2):
        for made in (quiet, evaluated):
            made.train_step(patches[:BATCH], labels[:BATCH], learning_rate=0.05)
        evaluated.evaluate(patches[:BATCH], labels[:BATCH], Sparsity(0.3, 0.2, (2, 3)))
        evaluated.kept_tokens(patches[:BATCH])
    assert_same_state(quiet, evaluated)


def test_evaluation_takes_any_number_of_images(steady):
    made = steady
    patches, labels = digits(BATCH + 3)
    whole = made.evaluate(patches, labels)
    assert whole.losses.shape == whole.correct.shape == (BATCH + 3,)
    assert np.array_equal(made.evaluate(patches[BATCH:], labels[BATCH:]).losses, whole.losses[BATCH:])
    assert np.array_equal(made.logits(patches).argmax(1), whole.predicted)


def test_evaluation_at_the_target_does_not_saturate_in_the_warm_up():
    made = session(sparsity=Sparsity(0.3, 0.2, (2, 3)))
    made.set_sparsity(PLACES)
    patches, labels = digits(BATCH)
    made.calibrate(patches, labels)
    assert made.evaluate(patches, labels).saturations == 0


def test_the_warm_up_trains_with_fewer_and_fewer_tokens():
    made = session(sparsity=Sparsity(0.4, 0.3, (2, 3)))
    patches, labels = digits(BATCH)
    for keep in (1.0, 0.9, 0.9, 0.6, 0.4):
        made.set_sparsity(Sparsity(keep, keep, (2, 3)))
        assert np.isfinite(made.train_step(patches, labels, learning_rate=0.01).losses).all()
    with pytest.raises(ValueError, match="places of the selectors are fixed"):
        made.set_sparsity(Sparsity(0.5, 0.5, (3,)))


def test_kept_tokens_are_positions_in_the_image(steady):
    made = steady
    patches, _ = digits(BATCH + 1)
    first, second = made.kept_tokens(patches)
    assert first.shape == (BATCH + 1, 13)
    assert second.shape == (BATCH + 1, 11)
    assert all(set(b) < set(a) for a, b in zip(first.tolist(), second.tolist(), strict=True))
    with torch.no_grad():
        wanted = float_model()(as_float(patches), Counts(made.plan.token_counts, made.plan.key_counts)).kept[0]
    assert (first == wanted.numpy()).mean() > 0.9


def test_weights_survive_loading_and_export(steady):
    exported = steady.export_float()
    for name, array in weights_of().items():
        assert exported[name] == pytest.approx(array, abs=1e-8)


class RefusingDevice(GoldenDevice):
    def run(self, program):
        return RunResult(Status.OUTSIDE_WINDOW, 4, 0)


def test_a_refused_program_names_the_instruction():
    made = Session(RefusingDevice(ZCU102), MODEL, SPARSE, SessionOptions(BATCH))
    made.load_parameters(weights_of())
    with pytest.raises(PeelVitError, match=r"stopped at instruction 4 \(blocks.0.attn forward\): an operand .* window"):
        made.calibrate(*digits(BATCH))


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda s, p, y: s.train_step(p[:, 1:], y, learning_rate=0.1), r"takes patches of shape \[4, 16, 4\]"),
        (lambda s, p, y: s.train_step(p, y + 10, learning_rate=0.1), "a label is outside 0 to 9"),
        (lambda s, p, y: s.train_step(p[:3], y[:3], learning_rate=0.1), "not a whole number of micro-batches of 4"),
        (lambda s, p, y: s.train_step(p, y, learning_rate=-1.0), "learning rate is -1.0"),
        (lambda s, p, y: s.train_step(p, y, learning_rate=0.1, momentum=1.0), "momentum is 1.0"),
        (lambda s, p, y: s.train_step(p, y, learning_rate=0.1, weight_decay=float("nan")), "weight decay is nan"),
    ],
)
def test_wrong_input_is_refused_in_words(steady, call, sentence):
    with pytest.raises(PeelVitError, match=sentence):
        call(steady, *digits(BATCH))


def test_a_state_of_another_run_is_refused(steady):
    state = steady.state()
    for other in (session(optimizer="adamw"), session(optimizer="adamw-fabric"), session(ODD, Sparsity())):
        with pytest.raises(CheckpointError, match="does not fit this run"):
            other.load_state(state)


@pytest.mark.parametrize(
    "options, sentence", [({"batch": 0}, "micro-batch of 0"), ({"optimizer": "lamb"}, "sgd or adamw")]
)
def test_senseless_options_are_refused(options, sentence):
    with pytest.raises(PeelVitError, match=sentence):
        SessionOptions(**({"batch": 1} | options))
