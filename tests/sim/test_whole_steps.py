"""Whole training steps give the same bits on golden, on the fast and on the fidelity C simulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hls.spec.config import BOARDS, HardwareConfig, load
from hls.spec.instruction import assemble
from hls.spec.status import Status
from host.compiler import block, compile_program, forward
from host.compiler.cut import Cut, attention_shape, mapped_rows
from host.compiler.emitter import Emitter
from host.device import Device
from host.devices.csim import CsimDevice
from host.layout import plan_layout
from host.model import PRESETS, Sparsity, ViTConfig, dense_plan, parse_model
from host.runtime import Session, SessionOptions
from host.tensor_memory import TensorMemory
from host.tensors import Use
from sim.csim import build
from sim.golden.device import GoldenDevice
from sim.workload import Batch, load_model, random_batch, random_parameters, write_program

State = dict[str, NDArray[Any]]

# No tile of the toy accelerator (8 x 16, chunks of 16, 4 keys) divides these sizes.
ODD = [
    "vit:image=15,patch=3,dim=20,depth=3,heads=2,mlp=28,classes=7",
    "vit:image=14,patch=2,dim=33,depth=4,heads=3,mlp=50,classes=11",
    "vit:image=9,patch=3,dim=52,depth=2,heads=4,mlp=19,classes=3,channels=1",
]
SPARSITIES = {
    "dense": Sparsity(1.0, 1.0, (2,)),
    "sparse": Sparsity(0.7, 0.45, (2,)),
    "keys only": Sparsity(1.0, 0.5, (2,)),
}


def executor(name: str, config: HardwareConfig) -> Device:
    if name == "golden":
        return GoldenDevice(config)
    build(config, name)
    return CsimDevice(config, name)


@dataclass(frozen=True)
class Case:
    """A short training: `steps` steps of two micro-batches each, after calibration unless it starts from a state."""

    config: HardwareConfig
    model: ViTConfig
    sparsity: Sparsity
    batch: int
    steps: int
    seed: int
    optimizer: str = "sgd"

    def session(self, device: Device) -> Session:
        session = Session(device, self.model, self.sparsity, SessionOptions(self.batch, optimizer=self.optimizer))
        session.load_parameters(random_parameters(self.model, self.seed))
        return session

    def images(self, step: int) -> Batch:
        return random_batch(self.model, 2 * self.batch, self.seed + step)

    def calibrated(self) -> State:
        session = self.session(GoldenDevice(self.config))
        session.calibrate(*self.images(0))
        return session.state()

    def trained(self, name: str, start: State | None) -> State:
        """State, losses, attention variances and logits at the end."""
        session = self.session(executor(name, self.config))
        if start is None:
            session.calibrate(*self.images(0))
        else:
            session.load_state(start)
        results = [
            session.train_step(*self.images(step), learning_rate=0.02, weight_decay=1e-3) for step in range(self.steps)
        ]
        found = {
            "losses": np.concatenate([result.losses for result in results]),
            "variances": np.concatenate([result.attention_variance for result in results]),
            "logits": session.logits(self.images(0).patches[: self.batch]),
        }
        return session.state() | found

    def assert_same(self, executors: list[str], start: State | None = None) -> None:
        expected = self.trained("golden", start)
        for name in executors:
            found = self.trained(name, start)
            different = [key for key in expected if not np.array_equal(expected[key], found[key])]
            assert not different, f"{name} differs from golden in {different[:5]} (seed {self.seed}); try `make parity`"


@pytest.mark.parametrize("sparsity", SPARSITIES.values(), ids=SPARSITIES)
@pytest.mark.parametrize("shape", ODD)
def test_small_models_of_odd_sizes(shape: str, sparsity: Sparsity) -> None:
    seed = int(np.random.SeedSequence().generate_state(1)[0])
    batch = int(np.random.default_rng(seed).choice([1, 2, 4]))
    Case(load("toy"), parse_model(shape), sparsity, batch, 2, seed).assert_same(["fast", "fidelity"])


@pytest.mark.parametrize("sparsity", SPARSITIES.values(), ids=SPARSITIES)
@pytest.mark.parametrize("shape", [ODD[0], ODD[2]])
def test_halves_of_a_batch_give_the_bits_of_the_whole(
    shape: str, sparsity: Sparsity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attention of one half beside the rest of the other: on the C simulation, and as a program without halves."""
    case = Case(load("zcu102"), parse_model(shape), sparsity, 16, 1, 3)
    case.assert_same(["fast"])
    in_halves = case.trained("golden", None)
    monkeypatch.setattr(forward, "_overlapping", lambda e, index: iter(()))
    whole = case.trained("golden", None)
    assert all(np.array_equal(whole[name], array) for name, array in in_halves.items())


def whole(e: Emitter, index: int) -> Cut:
    return Cut((range(e.model.heads),), (range(attention_shape(e, index).queries),))


def heads_apart(e: Emitter, index: int) -> Cut:
    """A map is a sum over all heads."""
    heads = tuple(range(head, head + 1) for head in range(e.model.heads))
    return whole(e, index) if mapped_rows(e, index) else replace(whole(e, index), heads=heads)


def passes_apart(e: Emitter, index: int) -> Cut:
    return replace(whole(e, index), by_passes=True)


def in_parts(e: Emitter, index: int, of: Callable[[Emitter, int], Cut]) -> Cut:
    """Parts of eight queries: what a norm saves of them is whole words."""
    (queries,) = whole(e, index).queries
    return replace(of(e, index), queries=tuple(queries[first : first + 8] for first in queries[::8]))


CUTS = {
    "heads apart": heads_apart,
    "passes apart": passes_apart,
    "parts": partial(in_parts, of=whole),
    "parts, heads of the first one apart": partial(in_parts, of=heads_apart),
    "parts, passes of the first one apart": partial(in_parts, of=passes_apart),
}


SOME = [(ODD[0], "dense"), (ODD[1], "sparse"), (ODD[0], "keys only")]
CUT_CASES = [("heads apart", shape, sparsity) for shape in ODD for sparsity in SPARSITIES]
CUT_CASES += [(cut, *case) for cut in CUTS if cut != "heads apart" for case in SOME]
CUT_CASES += [("passes apart", ODD[0], "sparse"), ("passes apart", ODD[1], "keys only")]


@pytest.mark.parametrize("cut, shape, sparsity", CUT_CASES)
def test_cuts_of_an_image_give_the_bits_of_the_whole(
    cut: str, shape: str, sparsity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something runs beside attention of some heads, queries or passes."""
    case = Case(load("toy"), parse_model(shape), SPARSITIES[sparsity], 1, 1, 4)
    monkeypatch.setattr(block, "cut_of", whole)
    expected = case.trained("golden", None)
    monkeypatch.setattr(block, "cut_of", CUTS[cut])
    case.assert_same(["fast", "fidelity"])
    found = case.trained("golden", None)
    assert [name for name, array in expected.items() if not np.array_equal(array, found[name])] == []


@pytest.mark.parametrize("shape, sparsity, batch", [(ODD[1], "sparse", 4), (ODD[2], "sparse", 2)])
def test_passes_of_several_images_apart_give_the_bits_of_the_whole(
    shape: str, sparsity: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values are projected beside the scores; in front of a selector, it chooses beside the sums of values."""
    case = Case(load("toy"), parse_model(shape), SPARSITIES[sparsity], batch, 1, 6)
    monkeypatch.setattr(block, "cut_of", whole)
    expected = case.trained("golden", None)
    monkeypatch.setattr(block, "cut_of", passes_apart)
    case.assert_same(["fast", "fidelity"])
    found = case.trained("golden", None)
    assert [name for name, array in expected.items() if not np.array_equal(array, found[name])] == []


def test_what_depends_on_attention_and_runs_beside_it_shows() -> None:
    """The C simulation runs attention behind what is beside it, golden before."""
    config, model = load("toy"), parse_model(ODD[0])
    layout = plan_layout(config, model, Use(2, training=False))
    program = compile_program(layout, dense_plan(model), mode="forward")
    index = program.names.index("blocks.0.attn forward")
    logits = []
    for beside in (1, 2):  # weights that are loaded, and what reads the context
        instructions = list(program.instructions)
        instructions[index] = replace(instructions[index], beside=beside)
        data = assemble(instructions, config.hash, program.slot_table.address, layout.slots.count)
        for device in (executor("golden", config), executor("fast", config)):
            load_model(device, layout, 0)
            assert device.run(write_program(device, layout, replace(program, data=data))).status is Status.OK
            logits.append(TensorMemory(device, layout).read("logits"))
    golden, fast, wrong_golden, wrong_fast = logits
    assert np.array_equal(golden, fast)
    assert np.array_equal(golden, wrong_golden)
    assert not np.array_equal(golden, wrong_fast)


@pytest.mark.parametrize("config, shape", [("toy", ODD[0]), ("toy", ODD[1]), ("zcu102", ODD[2])])
def test_adamw_on_the_fabric(config: str, shape: str) -> None:
    case = Case(load(config), parse_model(shape), SPARSITIES["sparse"], 2, 2, 7, "adamw-fabric")
    case.assert_same(["fast", "fidelity"])


@pytest.mark.parametrize(
    "config, executors",
    [pytest.param(name, ["fast", "fidelity"], marks=() if name == "zcu102" else pytest.mark.slow) for name in BOARDS]
    + [(name, ["fast"]) for name in BOARDS if name != "zcu102"],
)
def test_small_model_on_the_real_accelerators(config: str, executors: list[str]) -> None:
    Case(load(config), parse_model(ODD[1]), SPARSITIES["sparse"], 2, 1, 5).assert_same(executors)


@pytest.mark.parametrize(
    "model, executors",
    [
        ("deit_tiny_patch16_224", ["fast"]),
        pytest.param("deit_tiny_patch16_224", ["fidelity"], marks=pytest.mark.slow),
        pytest.param("deit_small_patch16_224", ["fast", "fidelity"], marks=pytest.mark.slow),
    ],
)
def test_deit_at_one_image(model: str, executors: list[str]) -> None:
    case = Case(load("zcu102"), PRESETS[model], Sparsity(0.7, 0.6), 1, 1, 11)
    case.assert_same(executors, case.calibrated())


@pytest.mark.slow
@pytest.mark.parametrize("config", [name for name in BOARDS if name != "zcu102"])
def test_deit_on_the_other_boards(config: str) -> None:
    case = Case(load(config), PRESETS["deit_tiny_patch16_224"], Sparsity(0.7, 0.6), 1, 1, 11)
    case.assert_same(["fast"], case.calibrated())
