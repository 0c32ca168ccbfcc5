"""`python -m trainer.train`: resumed runs equal straight ones, many processes equal one, mistakes get one sentence."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from host.errors import PeelVitError, run_main
from host.metrics import StepTable
from host.stop import Stopped
from host.training import train as train_device
from trainer.engine import checkpoint
from trainer.engine.fixed16 import device_options
from trainer.engine.run import Update
from trainer.options import parse
from trainer.train import evaluate_only, main, train

ROOT = Path(__file__).resolve().parents[2]
MODEL = "vit:image=8,patch=2,dim=16,depth=4,heads=2,mlp=32"
SMALL = f"--dataset digits --model {MODEL} --train-images 160 --eval-images 40 --epochs 3 --lr 3e-3 --no-progress"
SPARSE = "--select-before 2,3 --level trilevel_0.8 --example-period 1"
RUN = f"{SMALL} {SPARSE} -b 16 --grad-accum-steps 2 --drop-path 0.2 --mixup 0.8 --cutmix 1 --reprob 0.25"
RUN += " --model-ema --model-ema-decay 0.9 --clip-grad 1 --recovery-interval 3 --log-interval 2 --aug-repeats 2"
PLAIN = f"{SMALL} {SPARSE} --no-aug --model-ema --model-ema-decay 0.9 --log-interval 2"
WEIGHTS = ("model.safetensors", "model_ema.safetensors", "model_best.safetensors")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:  # for the whole module, so that `straight` has as many as the runs compared with it
    torch.set_num_threads(1)


def run(arguments: str, output: Path, on_update: Callable[[Update], None] | None = None) -> dict[str, Any]:
    return train(parse([*arguments.split(), "--output", str(output)]), on_update)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "straight"
    run(RUN, folder)
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "summary.csv") as file:
        return [
            {name: value for name, value in row.items() if not name.endswith("_seconds")}
            for row in csv.DictReader(file)
        ]


def metrics(folder: Path) -> dict[str, Any]:
    content = json.loads((folder / "metrics.json").read_text())
    content.pop("timing")
    return content


def assert_same_state(one: Any, other: Any) -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_same_state(one[name], other[name])
    elif isinstance(one, list):
        for left, right in zip(one, other, strict=True):
            assert_same_state(left, right)
    else:
        assert one == other


def assert_same_run(one: Path, other: Path) -> None:
    for name in WEIGHTS:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert rows(one) == rows(other)
    assert metrics(one) == metrics(other)
    states = [checkpoint.load(folder / checkpoint.NAME) for folder in (one, other)]
    for name in ("model", "ema", "optimizer", "examples", "position", "best"):
        assert_same_state(states[0][name], states[1][name])


class _Crash(Exception):
    """What ends a run without a word."""


def test_what_a_run_leaves(straight: Path) -> None:
    assert {
        "args.yaml", "summary.csv", "metrics.json", *WEIGHTS, checkpoint.NAME, f"{checkpoint.NAME}.previous"
    } < {path.name for path in straight.iterdir()}  # fmt: skip
    found = rows(straight)
    names = list(found[0])
    assert names[:5] == ["epoch", "train_loss", "eval_loss", "eval_top1", "eval_top5"]
    assert {"ema_top1", "lr", "keep_examples", "keep_tokens", "keep_attention", "images"} < set(names)
    assert [row["updates"] for row in found] == ["4", "8", "12"]  # 144 of 160 images are four updates of 32
    assert [float(row["keep_tokens"]) for row in found][1:] == [0.8, 0.8]
    report = metrics(straight)
    assert report["test_accuracy"] == float(found[-1]["eval_top1"])
    assert report["ema"]["test_accuracy"] == float(found[-1]["ema_top1"])
    best = max(found, key=lambda row: float(row["ema_top1"]))
    assert (report["best"]["epoch"], report["best"]["top1"]) == (int(best["epoch"]), float(best["ema_top1"]))
    assert "chosen on the evaluation set" in report["best"]["note"]
    macs = report["modelled_macs"]
    assert macs["step_final"] < macs["step_dense"]
    assert 1 - 128 / 160 < macs["saved_in_run"] < 1 - 128 / 160 * macs["step_final"] / macs["step_dense"]
    timing = json.loads((straight / "metrics.json").read_text())["timing"]
    assert 0 < timing["data_seconds"] + timing["example_seconds"] < timing["train_seconds"]
    assert list(straight.glob("events.out.tfevents*"))
    assert set(load_file(straight / WEIGHTS[0])) == set(load_file(straight / WEIGHTS[1]))


@pytest.mark.parametrize("update", [1, 6, 8])
def test_a_stopped_run_goes_on_bit_for_bit(straight: Path, tmp_path: Path, update: int) -> None:
    folder = tmp_path / "run"

    def stop(done: Update) -> None:
        if done.number == update:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match=f"stopped after step {update}; continue with --resume"):
        run(RUN, folder, stop)
    train(parse(["--resume", str(folder), "--no-progress"]))
    assert_same_run(straight, folder)


@pytest.mark.parametrize("update", [5, 11])
def test_a_crashed_run_goes_on_from_its_last_checkpoint(straight: Path, tmp_path: Path, update: int) -> None:
    folder = tmp_path / "run"

    def crash(done: Update) -> None:
        if done.number == update:
            raise _Crash

    with pytest.raises(_Crash):
        run(RUN, folder, crash)
    train(parse(["--resume", str(folder)]))
    assert_same_run(straight, folder)


def test_steps_end_a_run_early_and_it_goes_on(straight: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    early = run(f"{RUN} --steps 7", folder)
    assert early["updates"] == 7
    assert early["modelled_macs"]["saved_in_run"] is None  # it is not over
    train(parse(["--resume", str(folder)]))
    assert_same_run(straight, folder)


def test_a_finished_run_is_evaluated_as_it_was(straight: Path) -> None:
    found = evaluate_only(parse(["--evaluate", "--resume", str(straight)]))
    report = metrics(straight)
    assert found["weights"]["top1"] == report["test_accuracy"]
    assert found["ema"]["loss"] == report["ema"]["test_loss"]
    weights = f"--dataset digits --eval-images 40 --model {MODEL} --select-before 2,3 --level trilevel_0.8"
    found = evaluate_only(parse(["-e", "--initial-checkpoint", str(straight / WEIGHTS[0]), *weights.split()]))
    assert found["weights"]["loss"] == pytest.approx(report["test_loss"])


def test_infobatch_and_schedules_with_epochs_of_changing_length(tmp_path: Path) -> None:
    rates = []
    run(
        f"{SMALL} --example-method infobatch --example-option prune_until=1 -b 16 --min-lr 0 --val-interval 2",
        tmp_path / "run",
        lambda update: rates.append(update.learning_rate),
    )
    found = rows(tmp_path / "run")
    assert int(found[-1]["updates"]) < 30
    assert rates[-1] < 0.02 * max(rates)
    assert [row["eval_top1"] != "" for row in found] == [False, True, True]  # the last epoch is always evaluated
    assert all(float(row["keep_examples"]) <= 1 for row in found)


def test_a_smaller_image_first(tmp_path: Path) -> None:
    sides = []
    found = run(
        f"{SMALL} --epochs 6 --curriculum efficienttrain++",
        tmp_path / "run",
        lambda update: sides.append(update.batch.images.shape[-1]),
    )
    assert sorted(sides) == sides
    assert sides[0] < sides[-1] == 8
    assert found["modelled_macs"] is None


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def spoil(done: Update) -> None:
        if done.number == 4:
            for parameter in spoiled:
                parameter.data.fill_(torch.nan)

    spoiled: list[torch.nn.Parameter] = []
    original = torch.optim.AdamW.__init__

    def spy(self: Any, groups: Any, **settings: Any) -> None:
        spoiled.extend(parameter for group in groups for parameter in group["params"])
        original(self, groups, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "__init__", spy)
        with pytest.raises(PeelVitError, match="the loss is nan at step 5;"):
            run(f"{SMALL} -b 32 --recovery-interval 3", folder, spoil)
        spoiled.clear()
        with pytest.raises(PeelVitError, match="the weights are not finite after step 4;"):
            run(f"{SMALL} -b 32 --recovery-interval 4", tmp_path / "other", spoil)
    content = checkpoint.load(folder / checkpoint.NAME)
    assert content["position"]["update"] == 3
    assert all(torch.isfinite(tensor).all() for tensor in content["model"].values())
    assert train(parse(["--resume", str(folder), "--lr", "1e-5", "--clip-grad", "1"]))["options"]["clip_grad"] == 1.0
    assert not (tmp_path / "other" / checkpoint.NAME).exists()


# Fixed point


def test_fixed16_is_the_device_bit_for_bit(tmp_path: Path) -> None:
    small = f"--hardware-config toy --model {MODEL} --dataset digits --train-images 40 --eval-images 4 --epochs 1"
    arguments = f"--numerics fixed16 {small} {SPARSE} -b 4 --grad-accum-steps 2 --opt sgd --lr 0.05 --log-interval 2"
    given = parse([*arguments.split(), "--no-progress", "--output", str(tmp_path / "golden")])
    found = train(given)
    options = device_options(given) | {"backend": "csim", "output": tmp_path / "csim"}
    from host.options import Options

    expected = train_device(Options(**options))
    for name in ("steps.csv", "summary.csv", "model.safetensors"):
        content = (tmp_path / "golden" / name).read_text("latin-1"), (tmp_path / "csim" / name).read_text("latin-1")
        if name == "steps.csv":  # the golden model has no notion of time
            content = tuple("\n".join(line.rsplit(",", 1)[0] for line in text.splitlines()) for text in content)
        assert content[0] == content[1], name
    assert found["test_loss"] == expected["test_loss"]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ("--mixup 0.8", "--mixup is not possible with --numerics fixed16"),
        ("--model-ema", "--model-ema is not possible with --numerics fixed16"),
        ("--level trilevel_0.9 --selector-placement inside", "--selector-placement inside is not possible with"),
        ("--token-method evit", "the accelerator has trilevel only"),
    ],
)
def test_what_the_accelerator_does_not_have(arguments: str, sentence: str) -> None:
    with pytest.raises(PeelVitError, match=sentence):
        train(parse(["--numerics", "fixed16", *arguments.split()]))


# Mistakes


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """The program as users start it; its sentence."""
    handler = signal.getsignal(signal.SIGTERM)

    def start(*arguments: str | Path) -> str:
        words = [word for argument in arguments for word in str(argument).split()]
        monkeypatch.setattr(sys, "argv", ["trainer.train", *words])
        with pytest.raises(SystemExit) as end:
            run_main(main)
        assert end.value.code == 2
        error = capsys.readouterr().err.splitlines()
        assert len(error) == 1
        return error[0]

    monkeypatch.setattr("trainer.train.keep_freed_memory", lambda: True)
    yield start
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ("--batch-size 512", "training examples do not fill one batch of 512"),
        ("--num-classes 3", "--num-classes is 3 but digits has 10"),
        ("--in-chans 3", "--in-chans is 3 but the images of digits have 1"),
        ("--device cuda:7", "--device cuda:7 was asked for but torch sees"),
        ("--device tpu", "there is no device tpu"),
        ("--dataset nowhere", "nowhere is neither a folder nor"),
        ("--model vit_huge", "there is no model 'vit_huge'"),
        ("--token-method evitt", "there is no token method 'evitt'"),
        ("--method-option depth=3", "has no option 'depth'"),
        ("--method-option depth=[", "depth=[: a value cannot be read; give a number"),
        ("--level trilevel_0.9 --select-before 9", "the model has no selector that could keep 0.9"),
        ("--example-method rnadom --example-keep 0.9", "there is no example method 'rnadom'; choose random"),
        ("--teacher deit_tiny_patch16_224", "--teacher has no effect with --token-method trilevel"),
        ("--token-method dynamic_vit", "--token-method dynamic_vit learns from a teacher"),
        ("--resume nowhere", "there is no checkpoint nowhere"),
        ("--initial-checkpoint nowhere.safetensors", "there is no file nowhere.safetensors"),
        ("--aa rand-x9", "rand-x9"),
    ],
)
def test_one_sentence_for_each_mistake(call: Callable[..., str], tmp_path: Path, arguments: str, sentence: str) -> None:
    common = "" if "--resume" in arguments else f"{SMALL} -b 16"
    assert sentence in call(common, arguments, "--output", tmp_path / "run")


def test_what_contradicts_a_checkpoint(call: Callable[..., str], straight: Path, tmp_path: Path) -> None:
    resume = f"--resume {straight}"
    assert "--model is vit_micro_patch4_32 but" in call(resume, "--model vit_micro_patch4_32")
    assert "--weight-decay is 0.5 but" in call(resume, "--weight-decay 0.5")
    assert "the resumed run is in" in call(resume, "--output", tmp_path)
    assert "an update has 32 images" not in call(resume, "--num-classes 12")
    assert "holds a run already" in call(SMALL, "-b 16 --output", straight)
    assert "rand-x9" in call(SMALL, "-b 16 --aa rand-x9 --output", straight)  # what is wrong anywhere comes first
    assert "was trained on 10 classes but synthetic has 12;" in call("-e", resume, "--dataset synthetic:classes=12")
    assert "holds no checkpoint.pt" in call("--resume", tmp_path)
    assert "these weights do not fit the model" in call(
        "-e --dataset digits --model vit:image=8,patch=2,dim=16,depth=3,heads=2,mlp=32 --initial-checkpoint",
        straight / WEIGHTS[0],
    )
    torn = tmp_path / checkpoint.NAME
    torn.write_bytes((straight / checkpoint.NAME).read_bytes()[:-50])
    assert "is cut off, damaged" in call("--resume", torn)


@pytest.mark.parametrize("epoch, way_on", [(0, "start again"), (1, "start again with --resume")])
def test_a_full_disk_says_whether_there_is_something_to_resume(
    call: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int, way_on: str
) -> None:
    write = StepTable.append

    def full(table: StepTable, row: dict[str, Any]) -> None:
        if row["epoch"] == epoch:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(table, row)

    monkeypatch.setattr(StepTable, "append", full)
    sentence = call(SMALL, "-b 16 --output", tmp_path / "run")
    assert sentence == f"error: the disk is full; free some space and {way_on}"


def test_a_flat_val_folder_is_explained(call: Callable[..., str], tmp_path: Path) -> None:
    for name in ("train/cat", "train/dog", "val"):
        (tmp_path / name).mkdir(parents=True)
        Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / name / "1.png")
    sentence = call("--model vit_micro_patch4_32 -b 2 --data-dir", tmp_path, "--output", tmp_path / "run")
    assert "val" in sentence
    assert "class" in sentence.lower()


# Several processes


def torchrun(arguments: str, *, script: Path | None = None) -> subprocess.CompletedProcess[str]:
    program = ["-m", "trainer.train"] if script is None else [str(script)]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    patience = ["--monitor-interval", "5"]  # else the launcher may stop a survivor before that has said what it saw
    command = [sys.executable, *launcher, *patience, *program]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, *arguments.split()], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


DYING = """
import os, signal, sys
from host.errors import run_main
from trainer import distributed
from trainer.options import parse
from trainer.train import train

def die(update):
    if distributed.rank() == 1 and update.number == 6:
        os.kill(os.getpid(), signal.SIGKILL)

run_main(lambda: train(parse(), die) and 0)
"""


def test_two_processes_equal_one_and_survive_a_death(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    run(f"{PLAIN} -b 32", one)
    script = tmp_path / "dying.py"
    script.write_text(DYING)
    died = torchrun(f"{PLAIN} -b 16 --recovery-interval 3 --output {two}", script=script)
    assert died.returncode != 0
    assert "another process of the run has ended" in died.stderr
    done = torchrun(f"--resume {two}")
    assert done.returncode == 0, done.stderr
    states = [checkpoint.load(folder / checkpoint.NAME) for folder in (one, two)]
    for name in ("in_subset", "waiting", "iteration", "presentations"):
        assert torch.equal(states[0]["examples"][name], states[1]["examples"][name]), name
    for left, right in zip(rows(one), rows(two), strict=True):
        assert float(left["train_loss"]) == pytest.approx(float(right["train_loss"]), rel=1e-5)
        assert float(left["eval_loss"]) == pytest.approx(float(right["eval_loss"]), rel=1e-4)
        assert left["keep_tokens"] == right["keep_tokens"]
    assert metrics(two)["processes"] == 2
