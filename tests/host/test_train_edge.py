"""The main program as users start it: resumed runs equal undisturbed ones, and mistakes get one sentence."""

from __future__ import annotations

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

from host.checkpoint import CHECKPOINT_NAME, load_checkpoint
from host.errors import run_main
from host.metrics import StepTable
from host.train_edge import main

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, str(ROOT / "host/train_edge.py")]
MODEL = "vit:image=8,patch=2,dim=16,depth=3,heads=2,mlp=32"
MODEL_OPTIONS = ["--config", "toy", "--model", MODEL, "--select-before", "2,3", "-b", "4"]
RUN = [
    *MODEL_OPTIONS, "--dataset", "digits", "--train-images", "80", "--eval-images", "10", "--grad-accum-steps", "2",
    "--level", "0.8", "--epochs", "3", "--example-period", "1", "--log-interval", "2", "--checkpoint-interval", "4",
]  # fmt: skip
FILES = ("summary.csv", "steps.csv", "model.safetensors", CHECKPOINT_NAME)


def environment(data: Path) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PEELVIT_DATA": str(data)}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def run_program(data: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *map(str, arguments)]
    # Not in the repository: the program has to find its packages itself.
    return subprocess.run(command, cwd=data, env=environment(data), capture_output=True, text=True, check=False)


Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """The program inside this process: exit code, and what it wrote to stderr."""
    monkeypatch.setenv("PEELVIT_DATA", str(data))
    monkeypatch.chdir(data)
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["train_edge.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            run_main(main)
        return int(end.value.code or 0), capsys.readouterr().err

    yield run
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(scope="session")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run."""
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    run = run_program(data, *RUN, "--output", folder)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("device memory of ")
    return folder


def metrics(folder: Path) -> dict[str, Any]:
    content = json.loads((folder / "metrics.json").read_text())
    content.pop("timing")
    return content


def assert_equal_runs(one: Path, other: Path) -> None:
    for name in FILES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert metrics(one) == metrics(other)


def interrupt_after(data: Path, lines: int, number: signal.Signals, arguments: list[str]) -> tuple[int, str]:
    """Start a run, send it a signal after so many lines of progress; its exit code and the rest of its output."""
    command = [*PROGRAM, *arguments]
    with subprocess.Popen(
        command, cwd=data, env=environment(data), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        seen = [process.stderr.readline() for _ in range(lines)]
        process.send_signal(number)
        rest = process.stderr.read()
    assert all(seen), seen
    return process.returncode, rest


def test_what_a_run_reports(finished: Path) -> None:
    found = metrics(finished)
    assert found["dataset"] == "digits"
    assert found["train_images"] == 80
    assert found["keep"] == {"examples": 0.9, "tokens": 0.8, "attention": 0.3}
    assert 0 <= found["test_accuracy"] <= 100
    assert found["saturation_rate"] < 1e-5
    assert found["steps"] == 27  # 72 of 80 images are nine steps of 8, three times
    assert found["loss_curve"]["step"] == [*range(2, 27, 2), 27]
    assert found["modelled_ms_per_image"]["train"] > found["modelled_ms_per_image"]["inference"] > 0


@pytest.mark.parametrize("lines", [1, 4, 6])
def test_kill_and_resume_equal_an_undisturbed_run(data: Path, finished: Path, tmp_path: Path, lines: int) -> None:
    folder = tmp_path / "run"
    code, _ = interrupt_after(data, lines + 2, signal.SIGKILL, [*RUN, "--output", str(folder)])
    assert code == -signal.SIGKILL
    run = run_program(data, "--resume", folder, "--no-progress")
    assert run.returncode == 0, run.stderr
    assert_equal_runs(folder, finished)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_ends_with_one_line(
    data: Path, finished: Path, tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "run"
    code, rest = interrupt_after(data, 1, number, [*RUN, "--output", str(folder)])
    assert code == 130
    assert rest.splitlines()[-1].startswith("stopped after step ")
    assert "Traceback" not in rest
    run = run_program(data, "--resume", folder, "--no-progress")
    assert run.returncode == 0, run.stderr
    assert_equal_runs(folder, finished)


def test_steps_cap_a_run_that_goes_on_later(data: Path, finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert run_program(data, *RUN, "--steps", "5", "--output", folder).returncode == 0
    assert metrics(folder)["steps"] == 5
    assert run_program(data, "--resume", folder, "--steps", "27").returncode == 0
    for name in ("summary.csv", "steps.csv", "model.safetensors"):
        assert (folder / name).read_bytes() == (finished / name).read_bytes(), name


def test_evaluation_gives_the_accuracy_of_the_run(data: Path, finished: Path) -> None:
    run = run_program(data, "--mode", "eval", "--resume", finished)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout[run.stdout.index("{") :])
    assert (found["top1"], found["loss"]) == (metrics(finished)["test_accuracy"], metrics(finished)["test_loss"])


def test_execution_of_a_checkpoint_and_of_float_weights(data: Path, finished: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 1), np.uint8)
    np.save(tmp_path / "images.npy", images)
    files = ["--inputfile", tmp_path / "images.npy", "--outputfile", tmp_path / "logits.npy"]
    run = run_program(data, "--mode", "execute", "--resume", finished, *files)
    assert run.returncode == 0, run.stderr
    logits = np.load(tmp_path / "logits.npy")
    assert logits.shape == (5, 10)
    assert np.array_equal(np.load(tmp_path / "logits-top1.npy"), logits.argmax(axis=1))
    weights = ["--initial-checkpoint", finished / "model.safetensors", "--num-classes", "10", "--dataset", "digits"]
    sparsity = ["--token-keep", "0.8", "--attention-keep", "0.3"]
    run = run_program(data, "--mode", "execute", *MODEL_OPTIONS, *weights, *sparsity, *files)
    assert run.returncode == 0, run.stderr
    assert "44 of 44 tensors mapped" in run.stdout
    assert np.abs(np.load(tmp_path / "logits.npy") - logits).max() < 0.02


def test_throughput_names_say_that_a_simulation_is_modelled(data: Path) -> None:
    run = run_program(data, "--exec_mode", "throughput_test", *MODEL_OPTIONS, "--num-classes", "10")
    assert run.returncode == 0, run.stderr
    figures = json.loads(run.stdout[run.stdout.index("{") :])
    for name in ("runtime[ms]", "throughput[images/s]", "DRAM_in_bandwidth[MB/s]", "DRAM_out_bandwidth[MB/s]"):
        assert figures[f"modelled_{name}"] > 0
        assert name not in figures
    assert figures["batch_size"] == 4
    product = figures["modelled_runtime[ms]"] * figures["modelled_throughput[images/s]"]
    assert product == pytest.approx(4 * 1000)


@pytest.mark.parametrize("backend", ["csim", "golden"])
def test_selftest(data: Path, backend: str) -> None:
    run = run_program(data, "--mode", "selftest", "--config", "toy", "--backend", backend)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == f"the {backend} device works"


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--bogus"], "there is no option --bogus"),
        (["--btch-size", "3"], "did you mean --batch-size"),
        (["--epochs", "many"], "invalid int value"),
        (["--model", "resnet"], "there is no model resnet"),
        (["--dataset", "no/such"], "no/such is neither a folder nor"),
        (["--config", "none"], "there is no hardware configuration none"),
        (["--backend", "abacus"], "there is no backend abacus"),
        (["--backend", "pynq"], "this machine is no PYNQ board"),
        (["--token-keep", "0"], "the token keep ratio is 0.0"),
        (["--attention-keep", "1.5"], "the attention keep ratio is 1.5"),
        (
            ["--select-before", "70,80", "--token-keep", "0.5"],
            "the selectors stand before blocks 70, 80 but the model has",
        ),
        (["--example-keep", "nan"], "the example keep ratio is nan"),
        (["-b", "3"], "not a power of two"),
        (["-b", "0"], "--batch-size is 0"),
        (["--sparsity-warmup", "4:1"], "runs backwards"),
        (["--memory-mib", "1", "-b", "32"], "MiB of device memory"),
        (["--model", "deit_small_patch16_224"], "slots but the hardware configuration has 512"),
        (["--initial-checkpoint", "none.npz"], "there is no file none.npz"),
        (["--resume", "nowhere"], "there is no checkpoint nowhere"),
        (["--output", "/dev/null/run"], "cannot write to /dev/null/run"),
        (["--train-images", "4"], "do not fill one step"),
        (["--variant", "fast", "--backend", "golden"], "no effect with --backend golden"),
        (["--clk-mhz", "100"], "no effect with --backend csim"),
        (["--mode", "eval", "--lr", "1"], "no effect with --mode eval"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_get_one_sentence(call: Call, tmp_path: Path, arguments: list[str], words: str) -> None:
    defaults = [] if "eval" in arguments else [*RUN, *([] if "--output" in arguments else ["--output", tmp_path / "r"])]
    code, errors = call(*defaults, *arguments)
    assert code == 2
    assert words in errors
    sentence = [line for line in errors.splitlines() if not line.startswith(("reading ", "wrote "))]
    assert len(sentence) == 1
    assert sentence[0].startswith("error: ")


def test_a_full_disk_gets_one_sentence_and_leaves_the_checkpoint(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = StepTable.append

    def full_after_an_epoch(table: StepTable, row: dict[str, Any]) -> None:
        if row["step"] > 12:
            raise OSError(errno.ENOSPC, "No space left on device", str(table.path))
        write(table, row)

    monkeypatch.setattr(StepTable, "append", full_after_an_epoch)
    code, errors = call(*RUN, "--output", tmp_path / "run", "--no-progress")
    assert code == 2
    assert "error: the disk is full" in errors.splitlines()[-1]
    assert errors.endswith("start again with --resume\n")
    _, meta = load_checkpoint(tmp_path / "run" / CHECKPOINT_NAME)
    assert meta["position"] == {"epoch": 1, "steps": 3}


def test_a_disk_full_from_the_start_leaves_nothing_to_resume(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(StepTable, "append", full)
    code, errors = call(*RUN, "--output", tmp_path / "run", "--no-progress")
    assert code == 2
    assert errors.endswith("error: the disk is full; free some space and start again\n")


def test_mistakes_with_a_run_that_is_there(data: Path, finished: Path, tmp_path: Path) -> None:
    assert "holds a run already" in run_program(data, *RUN, "--output", finished).stderr
    differing = run_program(data, "--resume", finished, "--lr", "0.3")
    assert differing.returncode == 2
    assert differing.stderr.startswith("error: --lr is 0.3 but ")
    damaged = tmp_path / CHECKPOINT_NAME
    content = bytearray((finished / CHECKPOINT_NAME).read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    run = run_program(data, "--resume", damaged)
    assert run.returncode == 2
    assert "is damaged" in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_checkpoint_holds_everything(finished: Path) -> None:
    arrays, meta = load_checkpoint(finished / CHECKPOINT_NAME)
    parts = {name.split(".")[0] for name in arrays}
    assert parts == {"learner", "examples", "log"}
    assert meta["position"] == {"epoch": 3, "steps": 0}
